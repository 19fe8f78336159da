#!/usr/bin/env bash
# The benchmark's arithmetic, and the program from end to end: a row in seconds for ours and the bare
# loop, its results, the document that is made of them, and what it answers to nonsense and to Ctrl-C.
# How fast anything is is not looked at.
set -euo pipefail

build=${1:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/build}
source=${SP_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
bench=$source/bench
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work # where the benchmark has its own files

fail() {
  printf 'bench: %s\n' "$*" >&2
  exit 1
}

skip() {
  printf 'bench: skipped: %s\n' "$*"
  exit 77
}

command -v node >/dev/null || skip "there is no node"
node -e 'process.exit(parseInt(process.versions.node, 10) < 18 ? 1 : 0)' || skip "node is older than 18"
for tool in cc pkg-config openssl; do
  command -v $tool >/dev/null || skip "there is no $tool"
done
pkg-config --exists libuv || skip "libuv's headers are not here"

! grep -q '^SECUREPAIR_SANITIZE:STRING=.' "$build/CMakeCache.txt" 2>/dev/null ||
  skip "the library is built with sanitizers, its server here is not"

test_arithmetic() {
  node --test "$bench" >"$work/arithmetic" 2>&1 || fail "$(cat "$work/arithmetic")"
}

run_bench() { node "$bench/main.js" --build "$build" "$@"; }

test_end_to_end() {
  run_bench handshake-1.3-ecdsa bare --rounds 2 --seconds 0.02 --results "$work/results.json" \
    >"$work/table" 2>"$work/progress" || fail "it failed: $(cat "$work/table" "$work/progress")"
  grep -q 'bare OpenSSL + epoll .*at most 1.00  \(kept\|MISSED\)' "$work/table" ||
    fail "the table has no row for the bare loop: $(cat "$work/table")"
  node - "$work/results.json" <<'SCRIPT' || fail "the results are not whole: $(cat "$work/results.json")"
    const assert = require('node:assert');
    const { results, settings, machine, versions } = JSON.parse(require('fs').readFileSync(process.argv[2]));
    assert.deepEqual(results.map(({ name }) => name),
      ['resolution-handshake', 'handshake-1.3-ecdsa']);
    for (const { contestants, ratios, facts } of results) {
      assert.ok(contestants.every(({ values }) => values.length === 2 && values.every((one) => one > 0)));
      assert.ok(ratios[0].low <= ratios[0].ratio && ratios[0].ratio <= ratios[0].high);
      assert.ok(Object.values(facts).every(({ suite, group }) => /AES_128_GCM/.test(suite) && group));
    }
    assert.ok(settings.rounds === 2 && machine.processor && versions.bare.version);
SCRIPT
}

test_document() {
  mkdir -p "$work/docs"
  node -e '
    const report = JSON.parse(require("fs").readFileSync(process.argv[2]));
    require(process.argv[1] + "/document.js").writeDocument(report, process.argv[3]);' \
    "$bench" "$work/results.json" "$work/docs"
  grep -q '<svg' "$work/results-handshakes.svg" || fail "there is no chart beside the results"
  grep -q '^## Handshakes' "$work/docs/performance.md" || fail "the document has no handshakes"
  grep -q '(performance/handshakes.svg)' "$work/docs/performance.md" || fail "the document shows no chart"
  if grep 'NaN\|undefined' "$work/docs/performance/handshakes.svg" "$work/docs/performance.md"; then
    fail "a figure is missing"
  fi
}

test_nonsense() {
  local status=0
  run_bench handshakez >/dev/null 2>"$work/answer" || status=$?
  [ $status -eq 2 ] || fail "it ended with $status for a row that there is not"
  grep -q '"handshakez"' "$work/answer" || fail "it does not name what it does not know: $(cat "$work/answer")"
  status=0
  run_bench --rounds many >/dev/null 2>"$work/answer" || status=$?
  [ $status -eq 2 ] || fail "it ended with $status for rounds that are no number"
  status=0
  run_bench handshake-1.3-ecdsa --results "$work/nowhere/r.json" >"$work/answer" 2>&1 || status=$?
  [ $status -eq 1 ] || fail "it ended with $status for results that cannot be written down"
  grep -q "cannot be written to $work/nowhere/r.json" "$work/answer" || fail "it says: $(cat "$work/answer")"
  [ ! -e "$work/nowhere" ] || fail "it makes folders where somebody made a slip"
  status=0
  run_bench --document "$work/results.json" >"$work/answer" 2>&1 || status=$?
  [ $status -eq 1 ] || fail "it ended with $status for the document of a part"
  grep -q "it lacks resolution-echo" "$work/answer" || fail "it says: $(cat "$work/answer")"
}

# Interrupted in its first slices: nothing is left of it, neither processes nor files.
test_interrupt() {
  local status=0 runner
  mkfifo "$work/progress-pipe"
  # An asynchronous command of a script does not hear SIGINT; this one does.
  (trap - INT && exec node "$bench/main.js" --build "$build" handshake-1.3-ecdsa bare --seconds 60 \
    --results "$work/never.json" >"$work/table" 2>"$work/progress-pipe") &
  runner=$!
  read -r _ <"$work/progress-pipe" || true
  until pgrep -P "$runner" >"$work/children"; do
    kill -0 $runner 2>/dev/null || fail "it ended by itself"
  done
  kill -TERM "$runner"
  wait "$runner" || status=$?
  [ $status -eq 143 ] || fail "it ended with $status when it was terminated"
  local pid tries
  while read -r pid; do
    for ((tries = 0; tries < 100; tries++)); do
      kill -0 "$pid" 2>/dev/null || continue 2
      sleep 0.1
    done
    fail "process $pid is left"
  done <"$work/children"
  [ -z "$(compgen -G "$work/securepair-bench-*")" ] || fail "its files are left"
}

test_arithmetic
test_end_to_end
test_document
test_nonsense
test_interrupt
