# test/NAME.c becomes the cmocka program build/test/NAME, linked to the static library so that it can
# reach internals too; test/NAME.sh is run by bash with the build folder as its argument. What all
# tests share is test/support/*.c. Exit status 77 says that a script was skipped.
pkg_check_modules(CMOCKA IMPORTED_TARGET cmocka)
if(NOT CMOCKA_FOUND)
  message(FATAL_ERROR "The tests need cmocka (Debian: libcmocka-dev). -DSECUREPAIR_TESTS=OFF builds without them.")
endif()

# A test that stands in for read() or accept4() has to be seen by libuv and OpenSSL, too.
set(CMAKE_C_VISIBILITY_PRESET default)

set(test_timeout 120)
if(SECUREPAIR_SANITIZE)
  set(test_timeout 360)
endif()

function(set_test_properties name)
  set_tests_properties(${name} PROPERTIES TIMEOUT ${test_timeout} SKIP_RETURN_CODE 77
    ENVIRONMENT "SP_EXAMPLES=${PROJECT_BINARY_DIR}/examples;SP_SOURCE=${PROJECT_SOURCE_DIR}")
endfunction()

add_library(test_flags INTERFACE)
target_compile_definitions(test_flags INTERFACE _GNU_SOURCE)
target_include_directories(test_flags INTERFACE ${PROJECT_SOURCE_DIR}/include
  ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/test)
target_link_libraries(test_flags INTERFACE securepair::static securepair_flags
  OpenSSL::SSL OpenSSL::Crypto Threads::Threads PkgConfig::CMOCKA ${CMAKE_DL_LIBS})

set(headers <setjmp.h> <stdarg.h> <stddef.h> <stdint.h> <cmocka.h> <uv.h> <openssl/ssl.h>)
add_library(test_support INTERFACE)
file(GLOB support CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/test/support/*.c)
if(support)
  add_library(test_support_objects STATIC ${support})
  target_link_libraries(test_support_objects PRIVATE test_flags)
  securepair_precompile_headers(test_support_objects PRIVATE ${headers})
  target_link_libraries(test_support INTERFACE test_support_objects)
endif()

file(GLOB tests CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/test/*.c)
foreach(source IN LISTS tests)
  get_filename_component(name ${source} NAME_WE)
  add_executable(test-${name} ${source})
  set_target_properties(test-${name} PROPERTIES OUTPUT_NAME ${name}
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/test)
  target_link_libraries(test-${name} PRIVATE test_support test_flags)
  if(name MATCHES "^command-") # of a part of the command
    target_include_directories(test-${name} PRIVATE ${PROJECT_SOURCE_DIR}/cli)
    target_link_libraries(test-${name} PRIVATE securepair_command_parts)
  elseif(NOT precompiled)
    set(precompiled test-${name})
    securepair_precompile_headers(test-${name} PRIVATE ${headers})
  else()
    securepair_precompile_headers(test-${name} REUSE_FROM ${precompiled})
  endif()
  add_test(NAME ${name} COMMAND test-${name})
  set_test_properties(${name})
endforeach()

# What scripts, and tests that run programs, find in the build folder.
add_custom_target(product)
foreach(target securepair_shared securepair_static securepair_command)
  if(TARGET ${target})
    add_dependencies(product ${target})
  endif()
endforeach()
foreach(source IN LISTS examples)
  get_filename_component(name ${source} NAME_WE)
  add_dependencies(product example-${name})
endforeach()

if(TARGET example-starttls-client)
  add_dependencies(test-starttls example-starttls-client)
endif()

# They run nothing of ours that the sanitizers could see: documents, headers, the benchmark, and a library that
# somebody installs, which is never a sanitized one.
set(scripts_unsanitized "^(package-.*|bench|bench-counts|features|header-alone|man|readme)$")

find_program(BASH bash REQUIRED)
file(GLOB scripts CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/test/*.sh)
foreach(script IN LISTS scripts)
  get_filename_component(name ${script} NAME_WE)
  if(SECUREPAIR_SANITIZE AND name MATCHES "${scripts_unsanitized}")
    continue()
  endif()
  add_test(NAME ${name} COMMAND ${BASH} ${script} ${PROJECT_BINARY_DIR})
  set_test_properties(${name})
  # A script that starts hundreds of processes says in its head how many seconds they may take.
  file(STRINGS ${script} seconds LIMIT_COUNT 1 REGEX "^# Timeout: [0-9]+$")
  if(seconds)
    string(REGEX MATCH "[0-9]+" seconds "${seconds}")
    set_tests_properties(${name} PROPERTIES TIMEOUT ${seconds})
  endif()
endforeach()

# Those that take longest begin first, so that none of them is still there when all others are done.
set_tests_properties(examples command-authority-kill command-completion command-localhost command-show-files
  command-authority command-connect-verdicts command-connect-starttls starttls-real command-show command
  command-serve-reload command-www-flow PROPERTIES COST 30)

# They begin and end many servers of other people's, one after the other.
set_tests_properties(starttls-real command-connect-starttls command-connect-verdicts PROPERTIES TIMEOUT 600)

# A thousand slow clients and one that is not: it keeps both ends busy, and must not wait for other tests.
set_tests_properties(server PROPERTIES PROCESSORS 2)
