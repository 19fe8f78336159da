# cli/*.c becomes build/securepair, the command: the public headers, and well-kept libraries for its
# command line and for JSON.
pkg_check_modules(POPT REQUIRED IMPORTED_TARGET popt)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)

file(GLOB command_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cli/*.c)
add_executable(securepair_command ${command_sources})
set_target_properties(securepair_command PROPERTIES OUTPUT_NAME securepair)
target_compile_definitions(securepair_command PRIVATE _GNU_SOURCE)
target_link_libraries(securepair_command PRIVATE securepair::static securepair_flags
  OpenSSL::Crypto PkgConfig::POPT PkgConfig::JANSSON PkgConfig::SQLITE)
target_link_options(securepair_command PRIVATE -pie)

# The server's sandbox. Not with sanitizers, which start a process of their own at the end.
pkg_check_modules(SECCOMP IMPORTED_TARGET libseccomp)
if(SECCOMP_FOUND AND NOT SECUREPAIR_SANITIZE)
  target_compile_definitions(securepair_command PRIVATE CLI_HAS_SECCOMP)
  target_link_libraries(securepair_command PRIVATE PkgConfig::SECCOMP)
endif()
install(TARGETS securepair_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
