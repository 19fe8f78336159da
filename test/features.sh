#!/usr/bin/env bash
# docs/features.md promises a test for each feature: the tests and the cases that it names exist, and
# no row is without one.
set -euo pipefail

source=${SP_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
table=$source/docs/features.md
rows=0 failed=0

fail() {
  printf 'features: %s\n' "$*" >&2
  failed=1
}

# The last column of every row but the heads, one a line.
cells() {
  awk -F'|' '/^\|/ && !/^\|[-| ]+\|$/ {
    cell = $(NF - 1)
    gsub(/^ +| +$/, "", cell)
    if (cell != "test") print cell
  }' "$table"
}

# file_of NAME: of a test, of C, a script or one of the JavaScript module's.
file_of() {
  local file
  for file in "$source/test/$1.c" "$source/test/$1.sh" "$source/node/test/${1#node/}.test.js"; do
    [ ! -e "$file" ] || { printf '%s' "$file"; return; }
  done
  return 1
}

# has_case FILE CASE: the whole name of one, or how some begin: "W13_...".
has_case() {
  local name=${2%...} end='\>'
  [ "$name" = "$2" ] || end=
  case $1 in
  *.c) grep -qE "cmocka_unit_test[a-z_]*\($name$end" "$1" ;;
  *.sh) grep -qE "^$name$end\(\) \{" "$1" ;;
  *) grep -qF "$name" "$1" ;;
  esac
}

# check_part NAME[: CASE, CASE...]
check_part() {
  local name=${1%%:*} file one
  local cases=()
  [[ $name =~ ^\`([a-z0-9/-]+)\`$ ]] || { fail "\"$1\" is no test's name"; return 0; }
  name=${BASH_REMATCH[1]}
  file=$(file_of "$name") || { fail "there is no test $name"; return 0; }
  [[ $1 == *:* ]] || return 0
  IFS=', ' read -r -a cases <<<"${1#*:}"
  [ ${#cases[@]} -gt 0 ] || fail "$name: no case is named after the colon"
  for one in "${cases[@]}"; do
    [[ $one =~ ^[A-Za-z0-9_]+(\.\.\.)?$ ]] || { fail "$name: \"$one\" is no case's name"; continue; }
    has_case "$file" "$one" || fail "$name has no case $one"
  done
}

# Parts stand between semicolons; what is in brackets is said to people.
check_cell() {
  local part
  local parts=()
  [[ $1 != "not a test: "* ]] || return 0
  IFS=';' read -r -a parts < <(sed -E 's/\([^)]*\)//g; s/ *; */;/g; s/ +$//' <<<"$1")
  [ ${#parts[@]} -gt 0 ] || fail "a row names no test"
  for part in "${parts[@]}"; do
    part=${part#"${part%%[! ]*}"}
    check_part "${part%"${part##*[! ]}"}"
  done
}

while IFS= read -r cell; do
  rows=$((rows + 1))
  check_cell "$cell"
done < <(cells)
[ $rows -gt 50 ] || fail "only $rows rows were found in $table"
exit $failed
