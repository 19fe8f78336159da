#!/usr/bin/env bash
# Each command has a manual page, which explains just the options that --help lists and has all its sections.
set -euo pipefail

build=$(cd "${1:-build}" && pwd)
securepair=$build/securepair
source=${SP_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
failed=0

fail() {
  printf 'command-man: %s\n' "$*" >&2
  failed=1
}

words() { "$securepair" "$@" --help | sed -nE '/^(Commands|Usage)/,$s/^  ([a-z]+)  +[a-z].*/\1/p'; }
options() { "$securepair" "$@" --help | grep -oE '^ +(-., )?--[a-z0-9-]+' | grep -oE -- '--[a-z0-9-]+' || true; }

# Options of a page's list; those of its synopsis.
explained() { sed -nE '/^\.It /s/Fl Fl /\n--/gp' "$1" | sed -nE 's/^(--[a-z0-9-]+).*/\1/p' | sort -u; }
summed() { sed -nE '/^\.Sh SYNOPSIS/,/^\.Sh DESC/s/Fl Fl /\n--/gp' "$1" | sed -nE 's/^(--[a-z0-9-]+).*/\1/p' | sort -u; }

check_page() {
  local command=$1 page=$source/man/securepair-$1.1 known section
  if [ ! -e "$page" ]; then
    [ "$command" = serve ] || fail "$command has no manual page"
    return
  fi
  if [ "$command" = authority ]; then
    known=$(for word in $(words authority); do options authority "$word"; done | sort -u)
  else
    known=$(options "$command" | sort -u)
  fi
  [ -n "$known" ] || fail "$command --help lists no option"
  diff <(echo "$known") <(explained "$page") || fail "$command: --help (<) and the page (>) differ"
  diff <(grep -vx -- --help <<<"$known") <(summed "$page") || fail "$command: --help (<) and the synopsis (>) differ"
  for section in DESCRIPTION "EXIT STATUS" EXAMPLES "SEE ALSO"; do
    grep -qx "\.Sh $section" "$page" || fail "$command: the page has no $section"
  done
  grep -qx "\.It Xr securepair-$command 1" "$source/man/securepair.1" || fail "securepair(1) does not point to $command"
}

[ "$(words | wc -l)" -gt 8 ] || fail "--help lists only $(words)"
for command in $(words); do
  check_page "$command"
done
exit $failed
