include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/securepair)

install(TARGETS securepair_shared securepair_static EXPORT securepair
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES include/securepair.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY include/securepair DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.h")
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
foreach(section 1 3 7)
  file(GLOB pages CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/man/*.${section})
  install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()

# `man sp_connect` finds the page that names it.
file(GLOB pages CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/man/*.3)
foreach(page IN LISTS pages)
  cmake_path(GET page FILENAME target)
  file(STRINGS ${page} lines REGEX "^[.]Nm sp_[a-z0-9_]+")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^[.]Nm (sp_[a-z0-9_]+).*" "\\1.3" alias "${line}")
    if(NOT alias STREQUAL target)
      file(WRITE ${PROJECT_BINARY_DIR}/man/${alias} ".so man3/${target}\n")
      install(FILES ${PROJECT_BINARY_DIR}/man/${alias} DESTINATION ${CMAKE_INSTALL_MANDIR}/man3)
    endif()
  endforeach()
endforeach()

# The pc file finds its prefix from where it lies, so the tree can be moved and shows no path of ours.
cmake_path(IS_ABSOLUTE CMAKE_INSTALL_LIBDIR libdir_is_absolute)
if(libdir_is_absolute)
  set(pc_prefix ${CMAKE_INSTALL_PREFIX})
else()
  file(RELATIVE_PATH up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
  string(REGEX REPLACE "/$" "" up "${up}")
  set(pc_prefix "\${pcfiledir}/${up}")
endif()
foreach(what LIBDIR INCLUDEDIR)
  cmake_path(APPEND pc_${what} "\${prefix}" "${CMAKE_INSTALL_${what}}")
endforeach()
configure_file(securepair.pc.in securepair.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/securepair.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(EXPORT securepair NAMESPACE securepair:: DESTINATION ${package_dir}
  FILE securepair-targets.cmake)
configure_package_config_file(cmake/securepair-config.cmake.in securepair-config.cmake
  INSTALL_DESTINATION ${package_dir})
# Before 1.0 each minor version is a contract of its own.
write_basic_package_version_file(securepair-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/securepair-config.cmake
  ${PROJECT_BINARY_DIR}/securepair-config-version.cmake DESTINATION ${package_dir})
