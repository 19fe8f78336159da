#!/usr/bin/env bash
# What is installed is enough for a stranger: a program outside this tree builds and runs through
# pkg-config, shared and static, and through find_package.
set -euo pipefail
build=$(cd "${1:?usage: package-install.sh BUILD-FOLDER}" && pwd)
source=${SP_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

fail() {
  echo "failed: $*"
  exit 1
}

write_program() {
  cat >program.c <<'END'
#include <securepair.h>
#include <string.h>

static void on_secure(sp_stream_t *stream, int status) {
  (void)stream;
  (void)status;
}

int main(void) {
  sp_context_t *context;
  sp_server_t *server;
  sp_error_t why;
  if (sp_context_new(&context, &why, NULL) < 0)
    return sp_error_print(stderr, &why), 1;
  sp_context_release(context);
  if (sp_server_new(&server, uv_default_loop(), on_secure, &why,
                    SP_OPTIONS(.key_file = "no-such.pem", .cert_file = "no-such.pem")) != UV_ENOENT ||
      !strstr(why.text, "no-such.pem"))
    return sp_error_print(stderr, &why), 1;
  puts(sp_version());
  return uv_loop_close(uv_default_loop()) < 0;
}
END
}

# expect_version COMMAND...: the program runs and prints the version that pkg-config tells.
expect_version() {
  local said
  said=$("$@") || fail "$* ended with $?: $said"
  [ "$said" = "$version" ] || fail "$* says $said, not $version"
}

check_files() {
  local file page
  for file in include/securepair.h include/securepair/pair.h share/doc/securepair/LICENSE \
    share/bash-completion/completions/securepair share/zsh/site-functions/_securepair \
    share/fish/vendor_completions.d/securepair.fish; do
    [ -f "$prefix/$file" ] || fail "$file is not installed"
  done
  for page in "$source"/man/*.[1-8]; do
    [ -e "$page" ] || continue
    [ -f "$prefix/share/man/man${page##*.}/${page##*/}" ] || fail "${page##*/} is not installed"
  done
  for file in "$source" "$build"; do
    if grep -rIlF -e "$file" --include='*.pc' --include='*.cmake' --include='*.h' "$prefix"; then
      fail "the files named above mention $file"
    fi
  done
  if grep -q 'R.*PATH' <<<"$(readelf -dW "$libraries/libsecurepair.so")"; then
    fail "the library has a run path"
  fi
}

build_with_pkg_config() {
  export PKG_CONFIG_PATH=$libraries/pkgconfig
  # shellcheck disable=SC2046 # flags are words
  gcc -Wall -Wextra -Werror program.c -o shared $(pkg-config --cflags --libs securepair)
  expect_version env LD_LIBRARY_PATH="$libraries" ./shared
}

# Moved elsewhere and without its shared library, the same installation still serves.
build_static_with_pkg_config() {
  cp -R "$prefix" moved
  local moved=$PWD/moved${libraries#"$prefix"}
  rm -f "$moved"/libsecurepair.so*
  export PKG_CONFIG_PATH=$moved/pkgconfig
  # shellcheck disable=SC2046 # flags are words
  gcc program.c -o static $(pkg-config --static --cflags --libs securepair)
  if grep -q 'NEEDED.*libsecurepair' <<<"$(readelf -dW static)"; then
    fail "linked to the shared library after all"
  fi
  expect_version ./static
}

build_with_find_package() {
  local generator
  unset PKG_CONFIG_PATH
  mkdir outside
  cat >outside/CMakeLists.txt <<END
cmake_minimum_required(VERSION 3.22)
project(outside C)
find_package(securepair ${version%.*} REQUIRED)
foreach(kind securepair static)
  add_executable(with-\${kind} ../program.c)
  target_link_libraries(with-\${kind} PRIVATE securepair::\${kind})
endforeach()
END
  # The build tool that built us is there; another may not be.
  generator=$(sed -n 's/^CMAKE_GENERATOR:INTERNAL=//p' "$build/CMakeCache.txt")
  { cmake -S outside -B outside/build -G "$generator" -DCMAKE_PREFIX_PATH="$prefix" &&
    cmake --build outside/build; } >outside.log 2>&1 || { cat outside.log; fail "find_package"; }
  expect_version outside/build/with-securepair
  expect_version outside/build/with-static
}

prefix=$folder/prefix
cmake --install "$build" --prefix "$prefix" >/dev/null
pc=$(find "$prefix" -name securepair.pc)
[ -n "$pc" ] || fail "securepair.pc is not installed"
libraries=$(cd "$(dirname "$pc")/.." && pwd)
version=$(pkg-config --modversion "$pc")

write_program
check_files
build_with_pkg_config
build_static_with_pkg_config
build_with_find_package
