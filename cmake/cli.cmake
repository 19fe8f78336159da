# cli/*.c becomes build/securepair, the command: the public headers, and well-kept libraries for its
# command line and for JSON.
pkg_check_modules(POPT REQUIRED IMPORTED_TARGET popt)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)

find_path(HTTP_PARSER_INCLUDE http_parser.h REQUIRED)
find_library(HTTP_PARSER_LIBRARY http_parser REQUIRED)

# All but main() is a library, so that tests reach it.
file(GLOB command_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/cli/*.c)
list(REMOVE_ITEM command_sources ${PROJECT_SOURCE_DIR}/cli/main.c)
add_library(securepair_command_parts STATIC ${command_sources})
target_compile_definitions(securepair_command_parts PRIVATE _GNU_SOURCE)
target_include_directories(securepair_command_parts PUBLIC ${HTTP_PARSER_INCLUDE})
target_link_libraries(securepair_command_parts PUBLIC securepair::static securepair_flags
  OpenSSL::Crypto PkgConfig::POPT PkgConfig::JANSSON PkgConfig::SQLITE ${HTTP_PARSER_LIBRARY})
securepair_precompile_headers(securepair_command_parts PRIVATE <uv.h> <openssl/ssl.h>)
add_executable(securepair_command ${PROJECT_SOURCE_DIR}/cli/main.c)
set_target_properties(securepair_command PROPERTIES OUTPUT_NAME securepair)
target_compile_definitions(securepair_command PRIVATE _GNU_SOURCE)
target_link_libraries(securepair_command PRIVATE securepair_command_parts)
target_link_options(securepair_command PRIVATE -pie)

# The server's sandbox. Not with sanitizers: they start a process of their own at the end, which looks
# into ours.
pkg_check_modules(SECCOMP IMPORTED_TARGET libseccomp)
if(SECUREPAIR_SANITIZE)
  target_compile_definitions(securepair_command_parts PRIVATE CLI_NO_SANDBOX)
elseif(SECCOMP_FOUND)
  target_compile_definitions(securepair_command_parts PRIVATE CLI_HAS_SECCOMP)
  target_link_libraries(securepair_command_parts PRIVATE PkgConfig::SECCOMP)
endif()
install(TARGETS securepair_command RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

# What makes shells complete it is printed by itself, so it has to run here.
if(NOT CMAKE_CROSSCOMPILING)
  foreach(shell bash zsh fish)
    set(script ${PROJECT_BINARY_DIR}/completion/${shell})
    add_custom_command(OUTPUT ${script} DEPENDS securepair_command
      COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/completion
      COMMAND securepair_command completion ${shell} > ${script} VERBATIM)
    list(APPEND completion_scripts ${script})
  endforeach()
  add_custom_target(securepair_completion ALL DEPENDS ${completion_scripts})
  install(FILES ${PROJECT_BINARY_DIR}/completion/bash RENAME securepair
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
  install(FILES ${PROJECT_BINARY_DIR}/completion/zsh RENAME _securepair
    DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
  install(FILES ${PROJECT_BINARY_DIR}/completion/fish RENAME securepair.fish
    DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
endif()
