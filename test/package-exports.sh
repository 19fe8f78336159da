#!/usr/bin/env bash
# The shared library shows what the public headers declare and nothing else, under its soname, and it
# and the examples are hardened as SECURITY.md says.
set -euo pipefail
source=${SP_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
cd "${1:?usage: package-exports.sh BUILD-FOLDER}"
library=libsecurepair.so
status=0

wrong() {
  echo "wrong: $*"
  status=1
}

# Every function declared with SP_EXTERN; the compiler takes the comments away.
declared() {
  sed '/^#/d' "$source"/include/*.h "$source"/include/*/*.h | gcc -fpreprocessed -E -P - |
    tr '\n' ' ' | tr ';' '\n' | sed -n 's/^.*SP_EXTERN //p' |
    sed -n 's/^[^(]*\b\(sp_[a-z0-9_]*\)(.*$/\1/p' | sort -u
}

exported() { nm -D --defined-only "$library" | awk '{ print $3 }' | sort -u; }

check_exports() {
  local missing extra
  [ "$(declared | wc -l)" -ge 100 ] || wrong "only $(declared | wc -l) declarations were found"
  missing=$(comm -23 <(declared) <(exported))
  extra=$(comm -13 <(declared) <(exported))
  # shellcheck disable=SC2086 # one line each
  [ -z "$missing" ] || wrong "declared and not exported:" $missing
  # shellcheck disable=SC2086
  [ -z "$extra" ] || wrong "exported and not declared:" $extra
}

check_soname() {
  local version want name
  version=$(pkg-config --modversion ./securepair.pc)
  want=libsecurepair.so.${version%.*}
  name=$(readelf -dW "$library" | sed -n 's/.*Library soname: \[\(.*\)\]/\1/p')
  [ "$name" = "$want" ] || wrong "the soname is $name, not $want"
  [ -e "$want" ] || wrong "$want is not there"
}

check_hardened() {
  local file=$1 segments dynamic
  segments=$(readelf -lW "$file")
  dynamic=$(readelf -dW "$file")
  grep -q GNU_RELRO <<<"$segments" || wrong "$file: no RELRO"
  grep -q 'BIND_NOW\|Flags:.*NOW' <<<"$dynamic" || wrong "$file: symbols are bound lazily"
  if grep -q 'GNU_STACK.* RWE ' <<<"$segments"; then
    wrong "$file: the stack is executable"
  fi
  grep -q 'Type: *DYN' <<<"$(readelf -hW "$file")" || wrong "$file: not position independent"
}

check_program() {
  local dynamic
  check_hardened "$1"
  dynamic=$(readelf -dW "$1")
  grep -q 'Flags:.*PIE' <<<"$dynamic" || wrong "$1: no PIE"
  grep -q "NEEDED.*$library" <<<"$dynamic" || wrong "$1: not linked to the shared library"
}

check_exports
check_soname
check_hardened "$library"
needed=$(nm -D --undefined-only "$library")
grep -q __stack_chk_fail <<<"$needed" || wrong "no stack protector"
if ! grep -q '^CMAKE_BUILD_TYPE:.*=Debug$' CMakeCache.txt; then
  grep -q '_chk@' <<<"$needed" || wrong "no fortified function"
fi
for program in examples/*; do
  [ ! -f "$program" ] || [ ! -x "$program" ] || check_program "$program"
done
exit $status
