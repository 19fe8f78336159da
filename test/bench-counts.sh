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
    { rows[$1]; for (i = 3; i <= 7; i++) v[file, $1, $2, i] = $i }
    END {
      names[3] = "allocations"; names[4] = "locks"; names[5] = "system calls"
      same = version[1] == version[2]
      for (row in rows)
        if (row ~ /^idle/)
          judge(row, "bytes", v[2, row, "ours", 3], v[1, row, "ours", 3], v[1, row, "ours", 3] / 100 + (same ? 0 : 2000))
        else
          for (i = 3; i <= 5; i++) {
            is = v[2, row, "ours", i]; may = v[1, row, "ours", i]
            if (!same) { is -= v[2, row, "bare", i]; may -= v[1, row, "bare", i] }
            if (same || is > may + 2) # last words that come late cost a read and a send
              judge(row, names[i] (same ? "" : " more than the bare loop"), is, may, (same ? 0 : 2) + (i == 5 ? 3 : 0))
          }
      for (row in rows)
        if (row !~ /^idle/) {
          if (same)
            judge(row, "instructions", v[2, row, "ours", 6], v[1, row, "ours", 6], v[1, row, "ours", 6] / 50)
          if (compiler[1] == compiler[2])
            judge(row, "instructions of our own", v[2, row, "ours", 7], v[1, row, "ours", 7], v[1, row, "ours", 7] / 10)
        }
      exit bad
    }' "$kept" "$found"
}

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
