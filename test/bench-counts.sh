#!/usr/bin/env bash
# Timeout: 900
# What a handshake, an echo and an idle connection cost our server in allocations, locks, system
# calls, instructions and bytes is no more than bench/counts.txt says, and that file is not far
# above it. What OpenSSL itself takes differs from version to version: on another one than the
# file's, what we add to the bare loop is compared instead, and of instructions just our own, as one
# compiler makes them.
set -euo pipefail

build=$(realpath "$1")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kept=$here/../bench/counts.txt

for tool in cc openssl pkg-config valgrind; do
  command -v "$tool" >/dev/null || { echo "skipped: $tool is missing"; exit 77; }
done
# A sanitized library counts its sanitizer.
if grep -qaE '__[at]san_init' "$build/libsecurepair.a"; then
  echo "skipped: the library is built with a sanitizer"
  exit 77
fi

found=$(mktemp)
trap 'rm -f "$found"' EXIT

# compare: says what grew, or is kept too high.
compare() {
  awk '
    function judge(row, what, is, may, slack) {
      if (is > may + slack) {
        printf "%s: %d %s, and no more than %d are kept\n", row, is, what, may; bad = 1
      } else if (may > is * 1.05 + slack + 3) {
        printf "%s: %d %s are kept, and it is %d: lower it in bench/counts.txt\n", row, may, what, is; bad = 1
      }
    }
    FNR == 1 { version[++file] = $3; compiler[file] = $NF; next }
    /^#/ { next }
    { rows[$1]; for (i = 3; i <= 8; i++) v[file, $1, $2, i] = $i }
    END {
      names[3] = "allocations"; names[4] = "locks"; names[5] = "system calls"; names[6] = "bytes"
      same = version[1] == version[2]
      for (row in rows)
        if (row ~ /^idle/) {
          judge(row, "bytes", v[2, row, "ours", 3], v[1, row, "ours", 3], v[1, row, "ours", 3] / 100 + (same ? 0 : 2000))
          if (same)
            judge(row, "blocks", v[2, row, "ours", 6], v[1, row, "ours", 6], 0)
        } else
          for (i = 3; i <= 6; i++) {
            is = v[2, row, "ours", i]; may = v[1, row, "ours", i]; slack = i == 6 ? may / 50 : 0
            if (i == 5 && row !~ /^echo/) slack = 2 # last words that come late cost a read and a send
            if (!same) { is -= v[2, row, "bare", i]; may -= v[1, row, "bare", i]; slack += 2 }
            judge(row, names[i] (same ? "" : " more than the bare loop"), is, may, slack)
          }
      for (row in rows)
        if (row !~ /^idle/) {
          if (same)
            judge(row, "instructions", v[2, row, "ours", 7], v[1, row, "ours", 7], v[1, row, "ours", 7] / 50)
          if (compiler[1] == compiler[2])
            judge(row, "instructions of our own", v[2, row, "ours", 8], v[1, row, "ours", 8], v[1, row, "ours", 8] / 20)
        }
      exit bad
    }' "$kept" "$found"
}

# What counted.c does not know would not be counted.
if command -v strace >/dev/null; then
  uncounted=$("$here/../bench/counts.sh" "$build/libsecurepair.a" --uncounted)
  [ -z "$uncounted" ] || { echo "a connection costs system calls that bench/counted.c does not count: $uncounted"; exit 1; }
fi

# A flight may come in two parts, where the machine has much to do: then there is another try.
for try in 1 2 3; do
  "$here/../bench/counts.sh" "$build/libsecurepair.a" --ours >"$found"
  if compare; then
    echo "as kept, at try $try"
    exit 0
  fi
done
cat "$found"
exit 1
