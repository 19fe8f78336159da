#!/usr/bin/env bash
# `./run bench latency [--quick]`: how long an established connection's echo takes while 200 handshakes
# at once come ten times a second, beside the same on a quiet server; with the budget of handshakes a
# turn alone, and with workers.
#
# Server on core 0, the storm and the probe on core 1, the probe with real-time priority. Slices quiet
# and stormy take turns; a figure is the median of the slices, the ratio that of the pairs. Where the
# machine has other work to do and we are allowed to, the one thread of the server without workers
# has real-time priority, too; the threads of the other share a core as fairly as always, with the
# best nice value.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
library=${1:?usage: latency.sh LIBRARY [--quick]}
slices=9 seconds=3
[ "${2:-}" != --quick ] || slices=3 seconds=2
rate=1000 crowd=200 bound=3.0

work=$(mktemp -d)
started=()
cleanup() {
  local pid
  for pid in "${started[@]}"; do
    kill "$pid" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap cleanup EXIT

compile() {
  ${CC:-cc} -std=gnu11 -D_GNU_SOURCE -O2 "$here/$1" -o "$work/$2" "${@:3}"
}

prepare() {
  local uv
  read -ra uv <<<"$(pkg-config --cflags --libs libuv)"
  compile load.c load -lssl -lcrypto
  compile latency.c latency -lssl -lcrypto
  compile cubic.c cubic.so -shared -fPIC
  compile server.c server -I"$here/../include" "$library" "${uv[@]}" -lssl -lcrypto -lpthread -ldl
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost \
    -keyout "$work/key.pem" -out "$work/cert.pem" -days 2 2>/dev/null
}

# pinned CORE: words that run a command there, where there is more than one.
pinned() { [ "$(nproc)" -lt 2 ] || printf 'taskset -c %s ' "$1"; }
real_time() { ! chrt -f 5 true 2>/dev/null || printf 'chrt -f %s ' "$1"; }
preferred() { ! nice -n -19 true 2>/dev/null || printf 'nice -n -19 '; }

# serve WORDS...: sets port, and input, which ends the server when it is closed.
serve() {
  local how
  if [[ " $* " == *" workers "* ]]; then
    how="$(preferred)$(pinned 0)"
  else
    how="$(real_time 5)$(pinned 0)"
  fi
  rm -f "$work/input" "$work/port"
  mkfifo "$work/input"
  # shellcheck disable=SC2086 # words
  LD_PRELOAD=$work/cubic.so $how "$work/server" "$work/key.pem" "$work/cert.pem" "$@" \
    <"$work/input" >"$work/port" &
  server=$!
  started+=("$server")
  exec {input}>"$work/input"
  until read -r port <"$work/port"; do
    kill -0 "$server" 2>/dev/null || { echo "bench: the server did not start" >&2; exit 1; }
    sleep 0.05
  done 2>/dev/null
}

# shellcheck disable=SC2046,SC2086 # words
probe() { $(real_time 10)$(pinned 1) "$work/latency" $port $rate $seconds; }

# shellcheck disable=SC2046,SC2086 # words
slice() {
  local storm
  if [ "$1" = quiet ]; then
    probe
    return
  fi
  $(real_time 5)$(pinned 1) "$work/load" storm $port $crowd $((seconds * 10 + 3)) >"$work/storm" &
  storm=$!
  sleep 0.2
  probe
  wait "$storm"
}

# One line for each pair of slices: quiet's p50 p99 p99.9 longest, then those of the storm.
measure() {
  local i
  serve "$@"
  for ((i = 0; i < slices; i++)); do
    if ((i % 2)); then
      slice storm >"$work/b"
      slice quiet >"$work/a"
    else
      slice quiet >"$work/a"
      slice storm >"$work/b"
    fi
    paste -d ' ' "$work/a" "$work/b"
  done
  exec {input}>&-
  wait "$server"
}

# report NAME FILE: the table's lines, and an object of JSON.
report() {
  awk -v name="$1" -v json="$work/json" -v bound="$bound" '
    function median(list, n, i, j, t) {
      for (i = 2; i <= n; i++)
        for (j = i; j > 1 && list[j] < list[j - 1]; j--) { t = list[j]; list[j] = list[j - 1]; list[j - 1] = t }
      return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
    }
    { for (f = 1; f <= 8; f++) column[f, NR] = $f; ratio[NR] = $6 / $2 }
    END {
      for (f = 1; f <= 8; f++) {
        for (i = 1; i <= NR; i++) one[i] = column[f, i]
        m[f] = median(one, NR)
      }
      r = median(ratio, NR)
      printf "%-10s quiet  %8d %8d %8d %8d\n", name, m[1], m[2], m[3], m[4]
      printf "%-10s storm  %8d %8d %8d %8d   p99 %.2f times, at most %.1f: %s\n", "", m[5], m[6], m[7], m[8], r, bound, r <= bound ? "kept" : "not kept"
      printf "  {\"name\": \"%s\", \"slices\": %d, \"quiet\": [%d, %d, %d, %d], \"storm\": [%d, %d, %d, %d], \"p99_ratio\": %.3f, \"bound\": %.1f}\n", \
        name, NR, m[1], m[2], m[3], m[4], m[5], m[6], m[7], m[8], r, bound >>json
    }' "$2"
}

main() {
  local results=$here/results file
  prepare
  chrt -f 5 true 2>/dev/null || echo "No real-time priority here: the probe waits like everybody, and its figures are rough."
  printf '%-17s %8s %8s %8s %8s   microseconds\n' "" p50 p99 p99.9 longest
  measure >"$work/budget"
  report budget "$work/budget"
  echo "                  $(cat "$work/storm") in the last slice"
  measure workers >"$work/workers"
  report workers "$work/workers"
  echo "                  $(cat "$work/storm") in the last slice"
  mkdir -p "$results"
  file=$results/latency-$(date -u +%Y-%m-%dT%H-%M-%SZ).json
  { echo '['; paste -sd ',' "$work/json" | sed 's/},/},\n/g'; echo ']'; } >"$file"
  echo "written: $file"
}

main
