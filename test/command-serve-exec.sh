#!/usr/bin/env bash
# securepair serve --exec: a process for each connection, and how both ends of it end.
# shellcheck disable=SC1003,SC2016,SC2119,SC2317
set -euo pipefail

source=${SP_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
# shellcheck source=test/scripts/serve.sh
. "$source/test/scripts/serve.sh"
need openssl sha256sum

gone() { ! kill -0 "$1" 2>/dev/null; }

# send FILE: what comes back is in `out`; how the client ended is the status.
send() { timeout $patience "$build/securepair" connect "localhost:$port" --insecure --quiet <"$1" >out 2>err; }

# hold: a client that stays, until `release`; waits for its first line, which it sets.
hold() {
  mkfifo input output
  "$build/securepair" connect "localhost:$port" --insecure --quiet <input >output 2>err &
  client=$!
  started+=("$client")
  exec {to}>input {from}<output
  read -r -t $patience -u "$from" line || fail "the command said nothing"
}
release() {
  kill -KILL "$client" 2>/dev/null || true
  wait "$client" 2>/dev/null || true
  exec {to}>&- {from}<&-
  rm input output
}

head -c 52428800 /dev/urandom >big
sum=$(sha256sum <big)
: >nothing

# -- input and output ----------------------------------------------------------------------------------
serve --exec cat
send big || fail "cat: the client ended with $?"
[ "$(sha256sum <out)" = "$sum" ] || fail "50 MB through cat came back as $(wc -c <out) other bytes"
wait_for "exited: status 0"
wait_for "closed: bytes in 52428800, bytes out 52428800"
stop

big=$PWD/big serve --exec 'cat "$big"; exit 3'
send nothing || fail "cat big: the client ended with $?"
[ "$(sha256sum <out)" = "$sum" ] || fail "50 MB came as $(wc -c <out) other bytes"
wait_for "exited: status 3"
stop

# -- commands that do not read ---------------------------------------------------------------------------
serve --exec 'echo bye'
send big || fail "echo bye: the client ended with $?"
[ "$(cat out)" = bye ] || fail "a command that exits at once says \"$(cat out)\""
stop

serve --exec 'head -n 1; echo and no more'
{ echo first; cat big; } >first
send first || fail "head: the client ended with $?"
[ "$(cat out)" = $'first\nand no more' ] || fail "a command that stops reading says \"$(cat out)\""
stop

# Nor is one that only closes its output over: what it reads must not be lost.
serve --exec 'exec cat >copy'
send big || fail "cat >copy: the client ended with $?"
[ "$(sha256sum <copy)" = "$sum" ] || fail "a command with its output elsewhere read $(wc -c <copy) bytes"
stop

# Signals are as a command expects them: we ignore SIGPIPE, it does not.
serve --exec 'yes | head -n 1'
send nothing || fail "yes: the client ended with $?"
[ "$(cat out)" = y ] || fail "yes | head says \"$(cat out)\""
stop
says_not "roken pipe"

# -- what it is told ---------------------------------------------------------------------------------------
TLS_CLIENT_SUBJECT=stale REMOTE_USER=stale serve --exec 'env; echo "to the log" >&2' --alpn h2
timeout $patience "$build/securepair" connect "localhost:$port" --insecure --quiet --alpn h2 <nothing >out 2>err
for line in TLS_PROTOCOL=TLSv1.3 TLS_SERVER_NAME=localhost TLS_ALPN=h2 TLS_CLIENT_VERIFY=NONE REMOTE_ADDR=127.0.0.1 \
  SERVER_ADDR=127.0.0.1 "SERVER_PORT=$port" TLS_RESUMED=no "PATH=$PATH"; do
  grep -qxF -- "$line" out || fail "the command is not told $line"
done
! grep -q stale out || fail "the command is told of another connection: $(grep stale out)"
wait_for "to the log"
stop

# A client's certificate with what a shell might stumble over.
securepair authority init --subject "CN=test root" >/dev/null
securepair key --out client.key
subject=$'CN=$(id) `id` \e[31mred\\, "quoted"'
openssl req -new -key client.key -subj $'/CN=$(id) `id` \e[31mred, "quoted"' -out client.csr 2>/dev/null
securepair authority sign client.csr --client --name client@a.example --subject "$subject" --out client.pem
serve --exec 'printf "%s\n" "$TLS_CLIENT_SUBJECT" "$TLS_CLIENT_VERIFY"' --client-ca authority/root.pem
timeout $patience "$build/securepair" connect "localhost:$port" --insecure --quiet --cert client.pem --key client.key \
  <nothing >out 2>err || fail "the client's certificate is not taken: $(cat err)"
grep -qF 'CN=$(id) `id` \' out || fail "the subject came as $(cat out)"
grep -qx SUCCESS out || fail "the verdict came as $(cat out)"
! grep -q $'\e' out log || fail "an escape sequence came through"
stop

# -- a client that goes away ---------------------------------------------------------------------------------
serve --exec 'echo $$; exec sleep 1000'
hold
release
until_true gone "$line" || fail "the command outlives its client"
stop

serve --exec 'trap "" TERM; echo $$; while :; do sleep 0.1; done'
hold
release
until_true gone "$line" || fail "a command that ignores SIGTERM outlives its client"
stop
serve --exec '(trap "" TERM; exec sleep 1000) & echo $!; wait'
hold
release
until_true gone "$line" || fail "a child that ignores SIGTERM outlives its command and the client"
stop

# A background process that holds the output does not hold the client.
serve --exec 'sleep 1000 & echo $!'
send nothing || fail "the client ended with $?"
kill "$(cat out)" || fail "the command's background process is gone"
stop

# -- ending it -------------------------------------------------------------------------------------------------
serve --exec 'echo begun; cat; echo done'
hold
kill -TERM "$server"
read -r -t $patience -u "$from" line || fail "nothing comes at the end"
[ "$line" = "done" ] || fail "the command did not come to its end, but said \"$line\""
wait "$server" || fail "the server ended with $?"
release
says "exited: status 0"

serve --exec 'echo $$; exec sleep 1000' --grace 0
hold
stop
until_true gone "$line" || fail "the command outlives the server"
release

serve --exec /does/not/exist
send nothing || fail "the client ended with $?"
wait_for "exited: status 127"
stop
finish
