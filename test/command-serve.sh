#!/usr/bin/env bash
# securepair serve: the echo, the certificate made on the spot, its log.
# shellcheck disable=SC2119
set -euo pipefail

source=${SP_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
# shellcheck source=test/scripts/serve.sh
. "$source/test/scripts/serve.sh"

# -- the seed's echo, with a certificate of its own ----------------------------------------------------
serve
head -n 1 log | grep -qF "listening on 127.0.0.1:$port (echo)" || fail "the first line is another"
fingerprint=$(grep -oP 'SHA-256 \K[0-9A-F:]{95}' log) || fail "no fingerprint is told"
talk hello
[ "$(cat out)" = $'welcome!\nhello' ] || fail "the echo says \"$(cat out)\""
securepair connect "localhost:$port" --insecure --json >report </dev/null 2>/dev/null || fail "no connection"
grep -qF "\"sha256\": \"$fingerprint\"" report || fail "the certificate has another fingerprint than was told"
for name in localhost 127.0.0.1 ::1; do
  grep -qF "\"$name\"" report || fail "the certificate is not for $name"
done
wait_for "closed: bytes in 6, bytes out 15"
stop
says "SIGTERM"
says "stopped"
finish
