#!/usr/bin/env bash
# Each public header can be included alone, in C and in C++; pair.h and those below it come without
# libuv, and none of them brings OpenSSL's.
set -euo pipefail
cd "${SP_SOURCE:-$(dirname "${BASH_SOURCE[0]}")/..}"

command -v g++ >/dev/null || { echo "skipped: no g++"; exit 77; }

warnings=(-Wall -Wextra -Wshadow -Wconversion -Wpedantic -Werror -Iinclude)
read -r -a uv_flags <<<"$(pkg-config --cflags libuv)"
status=0

wrong() {
  echo "wrong: $*"
  status=1
}

compile_alone() {
  local header=$1 includes
  echo "#include <$header>" >"$folder/alone.c"
  gcc -std=gnu11 -fsyntax-only "${warnings[@]}" "${uv_flags[@]}" "$folder/alone.c" ||
    wrong "$header does not compile alone as C11"
  g++ -x c++ -std=c++17 -fsyntax-only "${warnings[@]}" "${uv_flags[@]}" "$folder/alone.c" ||
    wrong "$header does not compile alone as C++17"
  includes=$(gcc -std=gnu11 -M -Iinclude "${uv_flags[@]}" "$folder/alone.c")
  if grep -q '/openssl/' <<<"$includes"; then
    wrong "$header brings OpenSSL's headers"
  fi
  case $header in
  securepair.h | securepair/stream.h | securepair/server.h | securepair/counters.h | securepair/watch.h) return ;;
  esac
  if grep -q '/uv\.h' <<<"$includes"; then
    wrong "$header brings libuv's header"
  fi
}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
n=0
for path in include/*.h include/*/*.h; do
  compile_alone "${path#include/}"
  n=$((n + 1))
done
[ $n -ge 7 ] || wrong "only $n headers were found"
exit $status
