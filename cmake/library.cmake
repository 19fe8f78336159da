# One set of objects, two libraries.
file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/*/*.c)
set(exports ${PROJECT_SOURCE_DIR}/cmake/exports.map)

add_library(securepair_objects OBJECT ${sources})
target_compile_definitions(securepair_objects PRIVATE _GNU_SOURCE)
target_include_directories(securepair_objects PUBLIC ${PROJECT_SOURCE_DIR}/include
  PRIVATE ${PROJECT_SOURCE_DIR}/src)
target_link_libraries(securepair_objects PRIVATE securepair_flags OpenSSL::SSL OpenSSL::Crypto
  PkgConfig::securepair_uv Threads::Threads)
securepair_precompile_headers(securepair_objects PRIVATE <openssl/ssl.h>)

# Calls within the library and of OpenSSL's go straight to where they lead: a handshake makes thousands of them.
foreach(flag -fno-semantic-interposition -fno-plt)
  string(MAKE_C_IDENTIFIER "SECUREPAIR_HAS${flag}" has)
  check_c_compiler_flag(${flag} ${has})
  if(${has})
    target_compile_options(securepair_objects PRIVATE ${flag})
  endif()
endforeach()

foreach(kind SHARED STATIC)
  string(TOLOWER securepair_${kind} target)
  add_library(${target} ${kind} $<TARGET_OBJECTS:securepair_objects>)
  set_target_properties(${target} PROPERTIES OUTPUT_NAME securepair LINKER_LANGUAGE C)
  target_include_directories(${target} INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  # The public headers need libuv's; OpenSSL's are our own business.
  target_link_libraries(${target} PUBLIC PkgConfig::securepair_uv
    PRIVATE OpenSSL::SSL OpenSSL::Crypto Threads::Threads)
endforeach()

set_target_properties(securepair_shared PROPERTIES
  EXPORT_NAME securepair
  VERSION ${PROJECT_VERSION}
  # Until 1.0 a minor version may break the ABI, so it is part of the soname.
  SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
  LINK_DEPENDS ${exports})
target_link_libraries(securepair_shared PRIVATE securepair_flags)
target_link_options(securepair_shared PRIVATE -Wl,--version-script=${exports} -Wl,-Bsymbolic-functions)
set_target_properties(securepair_static PROPERTIES EXPORT_NAME static)

# The same names inside this build as for users of the installed package.
add_library(securepair::securepair ALIAS securepair_shared)
add_library(securepair::static ALIAS securepair_static)
