#!/usr/bin/env bash
# What does not drift with the machine: what a server allocates, locks, asks the kernel for and
# computes for one handshake, echo or idle connection; ours beside the bare loop of OpenSSL.
#
#     counts.sh LIBRARY [--quick|--ours|--uncounted]
#
# --quick: no instructions, which take most of the time; --ours: only those of ours, and no caches.
# --uncounted: nothing but the system calls of ours that strace sees and counted.c does not know.
# Prints what counts.txt keeps. A figure is the difference of two runs, so that start and end cancel.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
library=$(realpath "${1:?usage: counts.sh LIBRARY [--quick|--ours|--uncounted]}")
mode=${2:-}

work=$(mktemp -d)
server=
cleanup() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM

# The key is always the same: what OpenSSL computes with it is, too, but for the nonces.
make_key() {
  cat >"$work/key.pem" <<KEY
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgrwF7hkymET0gv5zj
h05bcawaEzW+gEzWy9XqIwIeJsyhRANCAAQEUOu7WQ/EFzZ5Uy0GWzi/4ogQPeJ8
JtE/86kU41ImN9hPjFrvQ92j1ZjtEmxzEKyLwViRjwX62ONCtDwzI2CN
-----END PRIVATE KEY-----
KEY
  openssl req -x509 -new -key "$work/key.pem" -subj /CN=localhost -days 2 -out "$work/cert.pem"
}

compile() { ${CC:-cc} -std=gnu11 -D_GNU_SOURCE -O2 "$here/$1" -o "$work/$2" "${@:3}"; }

prepare() {
  local uv
  read -ra uv <<<"$(pkg-config --cflags --libs libuv)"
  make_key
  compile load.c load -lssl -lcrypto
  compile counted.c counted.so -shared -fPIC -ldl
  compile bare.c bare -lssl -lcrypto
  compile server.c ours -I"$here/../include" "$library" "${uv[@]}" -lssl -lcrypto -lpthread -ldl
}

# serve WHO LOAD COUNT [SIZE] [tls1.2]: one server, one load, and the server's end.
serve() {
  local who=$1 version="" port
  shift
  [ "${*: -1}" != tls1.2 ] || version=tls1.2
  rm -f "$work/input" "$work/port"
  mkfifo "$work/input" "$work/port"
  # shellcheck disable=SC2086 # words
  "${prefix[@]}" "$work/$who" "$work/key.pem" "$work/cert.pem" echo $version \
    <"$work/input" >"$work/port" &
  server=$!
  exec {input}>"$work/input"
  read -r port <"$work/port"
  if [ "$1" = idle ]; then
    hold "$port" "$@"
  else
    "$work/load" "$1" "$port" "${@:2}" >"$work/said"
    exec {input}>&-
    wait "$server"
  fi
  server=
}

# The server ends while the connections are open and have been quiet for a while.
hold() {
  local holder said
  mkfifo "$work/hold" "$work/ready"
  "$work/load" "$2" "$1" "${@:3}" <"$work/hold" >"$work/ready" {input}>&- &
  holder=$!
  exec {rope}>"$work/hold"
  read -r said <"$work/ready"
  [ "$said" = ready ]
  sleep 1.2
  exec {input}>&-
  wait "$server"
  exec {rope}>&-
  wait "$holder"
  rm "$work/hold" "$work/ready"
}

# difference FILE FILE UNITS: per unit, to the nearest whole.
difference() {
  paste -d ' ' "$1" "$2" | awk -v units="$3" '{
    for (i = 1; i <= NF / 2; i++)
      printf "%d ", ($(i + NF / 2) - $i) / units + 0.5
  }'
}

counted() {
  local who=$1 from=$3 to=$4
  for n in "$from" "$to"; do
    prefix=(env "LD_PRELOAD=$work/counted.so" "COUNTED=$work/$n")
    serve "$who" "$2" "$n" "${@:5}"
  done
  difference "$work/$from" "$work/$to" $((to - from))
}

# Of a callgrind file: instructions of the whole process, of the program itself (what is shared is
# not), and lines of memory that a cache of the second level would have had to fetch.
read_callgrind() {
  awk -v program="/$2\$" '
    /^events:/ { for (i = 2; i <= NF; i++) if ($i ~ /^(ILmr|DLmr|DLmw)$/) is_miss[i] }
    /^c?ob=/ {
      at = $1
      sub(/^c/, "", at)
      if (NF > 1) is_ours[at] = $0 ~ program
      if (/^ob=/) id = at
      next
    }
    after_call { after_call = 0; next }
    /^calls=/ { after_call = 1; next }
    /^[0-9+*-]/ {
      all += $2
      if (is_ours[id]) ours += $2
      for (i in is_miss) lines += $i
    }
    END { printf "%.0f %.0f %.0f\n", all, ours, lines }' "$1"
}

# Caches of 32 KB of each kind, then of 512 KB: a processor of today has that or twice as much there,
# and the kernel, which is not seen here, needs some. One nonce may take more than another, by a
# hundredth; what is ours does not.
instructions() {
  local who=$1 caches=(--cache-sim=yes "--I1=32768,8,64" "--D1=32768,8,64" "--LL=524288,8,64")
  [ "$mode" != --ours ] || caches=()
  for n in 5 25; do
    prefix=(valgrind -q --tool=callgrind "${caches[@]}" "--callgrind-out-file=$work/callgrind")
    serve "$who" "$2" "$n" "${@:3}" 2>"$work/valgrind" || { cat "$work/valgrind" >&2; exit 1; }
    read_callgrind "$work/callgrind" "$who" >"$work/$n"
  done
  difference "$work/5" "$work/25" 20
}

has_instructions() {
  [ "$mode" != --quick ] && { [ "$mode" != --ours ] || [ "$1" = ours ]; } && command -v valgrind >/dev/null
}

# row NAME LOAD WORDS...
row() {
  local name=$1 who all
  shift
  for who in ours bare; do
    read -ra all <<<"$(counted "$who" "$1" 10 50 "${@:2}")"
    all=("${all[@]:0:4}")
    # shellcheck disable=SC2207 # words
    ! has_instructions $who || all+=($(instructions "$who" "$@"))
    # shellcheck disable=SC2183 # what is missing is empty
    printf '%-14s %-5s %8s %8s %8s %8s %12s %8s %8s\n' "$name" $who "${all[@]}"
  done
}

idle_row() {
  local name=$1 who all
  shift
  for who in ours bare; do
    read -ra all <<<"$(counted "$who" idle 20 100 "$@")"
    printf '%-14s %-5s %8s bytes in %s blocks\n' "$name" $who "${all[4]}" "${all[5]}"
  done
}

# Of handshakes and echoes: what forty more of them ask the kernel for.
uncounted() {
  for n in 10 50; do
    prefix=(strace -f -qq -c -U "calls,name" -o "$work/traced.$n")
    serve ours "$1" "$n" "${@:2}"
  done
  awk -v known=" $(sed -n 's/.*SYS_\([a-z0-9_]*\).*/\1/p' "$here/counted.c" | tr '\n' ' ')" '
    $1 !~ /^[0-9]+$/ || $2 == "total" { next }
    FNR == NR { before[$2] = $1; next }
    $1 - before[$2] >= 20 && !index(known, " " $2 " ") { print $2 }' "$work/traced.10" "$work/traced.50"
}

prepare
if [ "$mode" = --uncounted ]; then
  uncounted handshake
  uncounted ask 512
  exit
fi
echo "# OpenSSL $(openssl version | cut -d ' ' -f 2), libuv $(pkg-config --modversion libuv), $(uname -m)," \
  "compiler $(${CC:-cc} -dumpversion)"
printf '#%-13s %-5s %8s %8s %8s %8s %12s %8s %8s\n' "" "" memory locks kernel bytes instructions own lines
row handshake-1.3 handshake
row handshake-1.2 handshake tls1.2
row resumed-1.3 resume
row resumed-1.2 resume tls1.2
row echo-512 ask 512
row echo-16k ask 16384
idle_row idle-1.3
idle_row idle-1.2 tls1.2
