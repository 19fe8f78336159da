#!/usr/bin/env bash
# The man pages agree with the headers (each public function has its prototype in a synopsis and its
# name in a NAME section, each option, event and error is explained), the programs in them compile,
# and they format without a warning.
set -euo pipefail

source=${SP_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

fail() {
  printf 'man: %s\n' "$*" >&2
  failed=1
}

pages=("$source"/man/*.[0-9])
page() { printf '%s' "$source/man/$1"; }

# The public functions of the headers as "type name(arguments)", one a line, spaces as in C.
header_prototypes() {
  perl -0777 -ne '
    s{/\*.*?\*/}{}gs;
    while (/SP_EXTERN\s+([^;#{}]*?\b(sp_\w+)\s*\(.*?\));/gs) {
      my $prototype = $1;
      $prototype =~ s/\s+/ /g;
      print "$prototype\n";
    }' "$source"/include/securepair/*.h | sort
}

# The same from .Ft and .Fn of the pages.
page_prototypes() {
  perl -ne '
    if (/^\.Ft "?(.*?)"?$/) { $type = $1; }
    elsif (/^\.Fn (sp_\w+) (.*)$/ && defined $type) {
      my ($name, $rest, @arguments) = ($1, $2);
      push @arguments, defined $1 ? $1 : $2 while $rest =~ /"([^"]*)"|(\S+)/g;
      my $space = $type =~ /\*$/ ? "" : " ";
      print "$type$space$name(", join(", ", @arguments), ")\n";
      undef $type;
    }' "${pages[@]}" | sort
}

check_prototypes() {
  header_prototypes >"$work/headers"
  page_prototypes >"$work/pages"
  [ -s "$work/headers" ] || fail "found no public function in the headers"
  diff "$work/headers" "$work/pages" >"$work/difference" ||
    fail "headers (<) and man pages (>) differ:"$'\n'"$(cat "$work/difference")"
}

check_names() {
  local name
  while read -r name; do
    grep -qE "^\.Nm $name( ,)?$" "${pages[@]}" || fail "$name is in no NAME section"
  done < <(sed -E 's/.*\b(sp_[a-z0-9_]+)\(.*/\1/; s/^.*[ *](sp_[a-z0-9_]+)\(.*/\1/' "$work/headers" |
    grep -oE '^sp_[a-z0-9_]+')
}

# fields HEADER STRUCT: the names of a structure's fields.
fields() {
  perl -0777 -ne '
    s{/\*.*?\*/}{}gs;
    if (/typedef struct '"$2"' \{(.*?)\n\}/s) {
      for my $field (split /;/, $1) {
        if ($field =~ /\(\*(\w+)\)/) { print "$1\n"; next; }
        print "$1\n" while $field =~ /(\w+)\s*(?:\[\d+\])?\s*(?=,|$)/g;
      }
    }' "$source/include/securepair/$1"
}

# check_explained PAGE WORD...: each is the argument of some macro there.
check_explained() {
  local file=$1 word
  shift
  [ $# -gt 0 ] || fail "found nothing in the headers that $file has to explain"
  for word in "$@"; do
    grep -qE "^\.(It|Fa|Dv|Pq|No).*\b$word\b" "$(page "$file")" || fail "$file does not explain $word"
  done
}

# The first examples of a page that are whole programs.
check_programs() {
  local file program
  for file in "${pages[@]}"; do
    program=$work/$(basename "$file").c
    perl -0777 -ne '
      while (/^\.Bd -literal[^\n]*\n(.*?)^\.Ed$/gms) {
        my $text = $1;
        next unless $text =~ /^int main\(/m;
        $text =~ s/\\e/\\/g;
        print "#include <securepair.h>\n$text";
        last;
      }' "$file" >"$program"
    [ -s "$program" ] || continue
    # shellcheck disable=SC2046 # a list of flags
    "${CC:-cc}" -std=gnu11 -Wall -Werror -fsyntax-only -I"$source/include" \
      $(pkg-config --cflags libuv) "$program" || fail "the program in $(basename "$file") does not compile"
  done
}

check_format() {
  local file tool=none
  if command -v mandoc >/dev/null; then
    tool=mandoc
    mandoc -T lint -W warning "${pages[@]}" >"$work/lint" || fail "$(cat "$work/lint")"
  fi
  # The tables of mdoc are in the package groff; groff-base, which man needs, has them too.
  if command -v groff >/dev/null; then
    tool=groff
    for file in "${pages[@]}"; do
      groff -mdoc -Tutf8 -ww -z "$file" >"$work/lint" 2>&1 || fail "groff cannot format $file"
      [ ! -s "$work/lint" ] || fail "$(basename "$file"): $(cat "$work/lint")"
    done
  fi
  [ $tool != none ]
}

check_prototypes
check_names
mapfile -t options < <(fields context.h sp_options)
mapfile -t hooks < <(fields context.h sp_hooks)
mapfile -t events < <(fields stream.h sp_stream_events)
mapfile -t parts < <(fields error.h sp_error)
mapfile -t errors < <(sed -nE 's/^ *X\(([A-Z]+), -.*/SP_E\1/p' "$source/include/securepair/error.h")
mapfile -t states < <(grep -oE '^ *SP_PAIR_[A-Z_]+ =' "$source/include/securepair/pair.h" | grep -oE 'SP_[A-Z_]+')
check_explained sp_context.3 "${options[@]}"
check_explained sp_pair.3 "${hooks[@]}" "${states[@]}"
check_explained sp_stream.3 "${events[@]}"
check_explained sp_error.3 "${parts[@]}" "${errors[@]}"
check_programs
if ! check_format; then
  [ $failed -eq 0 ] || exit 1
  printf 'man: neither groff nor mandoc is here to format the pages\n' >&2
  exit 77
fi
exit $failed
