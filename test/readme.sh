#!/usr/bin/env bash
# The README tells the truth about the tree: its first C program is examples/echo-server.c to the
# letter, its first in JavaScript node/examples/seed-server.js, others compile, whatever else it quotes stands in an example, and the commands, files and
# functions it names exist.
set -euo pipefail

source=${SP_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
readme=$source/README.md
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

fail() {
  printf 'readme: %s\n' "$*" >&2
  failed=1
}

# blocks LANGUAGE: each fenced block of that language becomes the file LANGUAGE.N.
blocks() {
  awk -v language="$1" -v folder="$work" '
    $0 == "```" language { file = folder "/" language "." ++n; printf "" >file; next }
    /^```/ { file = "" }
    file { print >file }' "$readme"
}

# check_program BLOCK FILE
check_program() {
  diff "$work/$1" "$source/$2" >"$work/difference" ||
    fail "the program (<) is not $2 (>):"$'\n'"$(cat "$work/difference")"
}

is_program() { grep -q '^int main(' "$1"; }

check_compile() {
  local program flags
  read -ra flags <<<"-I$source/include $(pkg-config --cflags libuv)"
  for program in "$work"/c.*; do
    ! is_program "$program" || "${CC:-cc}" -x c -std=gnu11 -Wall -Wextra -Werror -fsyntax-only \
      "${flags[@]}" "$program" || fail "a program does not compile:"$'\n'"$(cat "$program")"
  done
  # What it says to C++ is lines of a function.
  for program in "$work"/cpp.*; do
    { echo '#include <securepair.h>'; echo 'int main() {'; cat "$program"; echo 'return options.port == 0; }'; } \
      >"$program.cc"
    ! command -v "${CXX:-c++}" >/dev/null || "${CXX:-c++}" -std=c++20 -Wall -Werror -fsyntax-only \
      "${flags[@]}" "$program.cc" || fail "this is not C++:"$'\n'"$(cat "$program")"
  done
}

# Quotes are whole lines in one piece, indentation included.
check_quotes() {
  local quote example found
  for quote in "$work"/c.*; do
    ! is_program "$quote" || continue
    found=no
    for example in "$source"/examples/*.c; do
      case $(cat "$example") in *"$(cat "$quote")"*) found=yes ;; esac
    done
    [ $found = yes ] || fail "no example has these lines:"$'\n'"$(cat "$quote")"
  done
}

check_run_commands() {
  local name
  while read -r name; do
    grep -q "^command_$name()" "$source/run" || fail "./run knows no $name"
  done < <(grep -ohE '\./run [a-z]+' "$readme" | cut -d' ' -f2 | sort -u)
  # What ./run test is told to run alone.
  while read -r name; do
    [ -e "$source/test/$name.sh" ] || [ -e "$source/test/$name.c" ] || fail "there is no test $name"
  done < <(grep -ohE '\./run test [a-z-]+' "$readme" | cut -d' ' -f3 | sort -u)
}

check_files() {
  local name
  while read -r name; do
    [ -e "$source/examples/$name.c" ] || fail "there is no example $name"
  done < <(grep -ohE 'build/examples/[a-z-]+' "$readme" | cut -d/ -f3 | sort -u)
  while read -r name; do
    [ -e "$source/$name" ] || fail "the link to $name leads nowhere"
  done < <(grep -ohE '\]\([^)#]+' "$readme" | sed 's/^](//' | grep -v '^https://' | sort -u)
  for name in "$source"/examples/*.c "$source"/man/*; do
    grep -q "](${name#"$source/"})" "$readme" || fail "it does not mention ${name#"$source/"}"
  done
}

# The module's README names its tests.
check_node_tests() {
  local name
  # shellcheck disable=SC2016 # the backticks are Markdown's
  while read -r name; do
    [ -e "$source/node/test/$name.test.js" ] || fail "node/README.md: there is no test $name"
  done < <(grep -ohE '\(`[a-z-]+`\)|test/[a-z0-9.-]+\.test\.js|node/[a-z]+`' "$source/node/README.md" |
    sed -E 's/[(`)]//g; s/^(test|node)\///; s/\.test\.js$//' | sort -u)
}

check_names() {
  local name
  while read -r name; do
    grep -qrw -- "$name" "$source/include" || fail "the headers have no $name"
  done < <(grep -ohE '\b(sp|SP)_[A-Za-z0-9_]+' "$readme" | sort -u |
    while read -r name; do
      case $name in # errors are made by a macro from the rest of their names
      SP_E[A-Z]*) [ "$name" = SP_EMPTY_LIST ] && echo "$name" || echo "${name#SP_E}" ;;
      *) echo "$name" ;;
      esac
    done)
}

blocks c
blocks cpp
blocks js
[ -s "$work/c.1" ] || fail "it has no C program"
check_program c.1 examples/echo-server.c
check_program js.1 node/examples/seed-server.js
check_compile
check_quotes
check_run_commands
check_files
check_node_tests
check_names
exit $failed
