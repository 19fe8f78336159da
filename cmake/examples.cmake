# examples/NAME.c becomes build/examples/NAME, as a user would build it: public headers, shared library.
file(GLOB examples CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/examples/*.c)
foreach(source IN LISTS examples)
  get_filename_component(name ${source} NAME_WE)
  add_executable(example-${name} ${source})
  set_target_properties(example-${name} PROPERTIES OUTPUT_NAME ${name}
    RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/examples)
  target_link_libraries(example-${name} PRIVATE securepair::securepair securepair_flags)
  if(name STREQUAL key-process) # signs by itself
    target_link_libraries(example-${name} PRIVATE OpenSSL::Crypto)
  endif()
endforeach()
