# How everything of ours is compiled and linked: target_link_libraries(x PRIVATE securepair_flags).
include(CheckCCompilerFlag)
include(CheckPIESupported)

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
check_pie_supported(LANGUAGES C)

add_library(securepair_flags INTERFACE)
target_compile_options(securepair_flags INTERFACE -Wall -Wextra -Wshadow -Wconversion
  -Wmissing-prototypes
  $<$<BOOL:${SECUREPAIR_WERROR}>:-Werror>)

# SECURITY.md, "Build". Not every processor has all of them.
foreach(flag -fstack-protector-strong -fstack-clash-protection -fcf-protection)
  string(MAKE_C_IDENTIFIER "SECUREPAIR_HAS${flag}" has)
  check_c_compiler_flag(${flag} ${has})
  if(${has})
    target_compile_options(securepair_flags INTERFACE ${flag})
  endif()
endforeach()
target_link_options(securepair_flags INTERFACE -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)

if(SECUREPAIR_SANITIZE)
  # No fortified functions here: the sanitizers would not see through them. And no -z defs: the
  # sanitizer's own symbols are resolved in the executable.
  set(sanitize -fsanitize=${SECUREPAIR_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_compile_options(securepair_flags INTERFACE ${sanitize})
  target_link_options(securepair_flags INTERFACE ${sanitize})
  # A hundred programs: LLVM's linker takes half the time, where it is.
  include(CheckLinkerFlag)
  check_linker_flag(C -fuse-ld=lld SECUREPAIR_HAS_LLD)
  if(SECUREPAIR_HAS_LLD)
    target_link_options(securepair_flags INTERFACE -fuse-ld=lld)
  endif()
else()
  # Fortified functions need the optimiser.
  target_compile_options(securepair_flags INTERFACE
    $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE> $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)
  target_link_options(securepair_flags INTERFACE -Wl,-z,defs)
endif()

# Most of the time of a compilation goes into the headers of others. The sanitized build reads them once; it has no
# say in whether a file includes what it uses.
function(securepair_precompile_headers target)
  if(SECUREPAIR_SANITIZE)
    target_precompile_headers(${target} ${ARGN})
  endif()
endfunction()
