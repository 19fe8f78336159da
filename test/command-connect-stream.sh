#!/usr/bin/env bash
# securepair connect as a two-way stream: files, pipes and a terminal on one side, a TLS peer on the other;
# all of it arrives, ends are passed on, and what goes wrong on this side is told.
set -euo pipefail

# shellcheck source=test/scripts/connecting.bash
. "$(dirname "$0")/scripts/connecting.bash"
# shellcheck source=test/scripts/terminal.sh
. "$(dirname "$0")/scripts/terminal.sh"
need openssl perl sha256sum
make_certificates
ln -s key.pem server-key.pem
ln -s cert.pem server-cert.pem
echo_server() { listen '^listening on port ([0-9]+)$' "${SP_EXAMPLES:-$build/examples}/echo-server" 0; }
connect() { timeout $patience "$securepair" connect "localhost:$port" --ca "$root" --quiet "$@"; }
# what the echo server says to a file
with_welcome() { { printf 'welcome!\n'; cat "$@"; } | sha256sum; }

echo_server
# -- small ones ------------------------------------------------------------------------------------
said=$(echo hello | connect --linger 0 2>&1) || fail "echo ended with $?"
[ "$said" = $'welcome!\nhello' ] || fail "the echo of a line is: $said"
said=$(connect </dev/null 2>&1) || fail "/dev/null as input ended with $?"
[ "$said" = 'welcome!' ] || fail "with /dev/null as input: $said"
said=$(connect <&- 2>&1) || fail "no input at all ended with $?"
[ "$said" = 'welcome!' ] || fail "without any input: $said"
said=$(printf 'one\ntwo\r\nthree' | connect --crlf --linger 0 | od -An -c | tr -d ' \n')
[ "$said" = 'welcome!\none\r\ntwo\r\nthree' ] || fail "--crlf made: $said"

# -- a big one, both ways at once --------------------------------------------------------------------
openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null | head -c 100000000 >big || true
wanted=$(with_welcome big)
# shellcheck disable=SC2002 # a pipe is what is tried
[ "$(cat big | connect --linger 0 | sha256sum)" = "$wanted" ] || fail "through pipes something is missing"
connect <big >back --linger 0 || fail "a file in, a file out ended with $?"
[ "$(sha256sum <back)" = "$wanted" ] || fail "from file to file something is missing"
rm back
head -c 20000000 big >small
mv small big
wanted=$(with_welcome big)
# a reader that is slow at first holds the peer back, and loses nothing
[ "$(connect <big --linger 0 | perl -e 'select undef, undef, undef, 0.5; print while sysread STDIN, $_, 65536' |
  sha256sum)" = "$wanted" ] || fail "a slow reader lost something"
# a socket as input and output, as under inetd
perl -MSocket -MPOSIX=dup2 -e 'socketpair my $a, my $b, AF_UNIX, SOCK_STREAM, 0 or die;
  if (!fork) { dup2(fileno $b, 0); dup2(fileno $b, 1); close $a; close $b; exec @ARGV or die }
  close $b; if (!fork) { open my $f, "<", "big"; syswrite $a, $_ while sysread $f, $_, 65536; shutdown $a, 1; exit }
  syswrite STDOUT, $_ while sysread $a, $_, 65536' "$securepair" connect "localhost:$port" --ca "$root" -q --linger 0 |
  sha256sum >sum
[ "$(cat sum)" = "$wanted" ] || fail "through a socket something is missing"

# -- output that cannot be written -------------------------------------------------------------------
status=0
{ connect <big 2>err || echo $? >status; } | head -c 100 >/dev/null
status=$(cat status)
[ "$status" = 1 ] || fail "with a reader that went away it ended with $status"
grep -q 'cannot write to standard output: Broken pipe' err || fail "a broken pipe is not told: $(cat err)"
status=0
connect <big >/dev/full 2>err || status=$?
[ $status -eq 1 ] || fail "with a full disk it ended with $status"
grep -q 'No space left' err || fail "a full disk is not told: $(cat err)"
status=0
connect </dev/null >&- 2>err || status=$?
[ $status -eq 1 ] || fail "without an output it ended with $status"
grep -q 'cannot write to standard output' err || fail "a closed output is not told: $(cat err)"
status=0
connect --json </dev/null >/dev/full 2>err || status=$?
[ $status -eq 1 ] || fail "JSON to a full disk ended with $status"
status=0
connect <. >/dev/null 2>err || status=$?
grep -q 'cannot read standard input' err || fail "input that cannot be read is not told: $(cat err)"

# -- ends --------------------------------------------------------------------------------------------
stop
status=0
# The peer is gone: the input, which never ends, is not waited for.
mkfifo never
exec {hold}<>never
serve -key key.pem -cert cert.pem -www
printf 'GET / HTTP/1.0\r\n\r\n' >never &
connect <never >page || fail "an end of the peer's alone ended with $?"
grep -q '<HTML>' page || fail "the page did not come"
exec {hold}>&-
stop
# Node drops what it has to say once we end: we do so only when it was quiet for a while.
if command -v node >/dev/null; then
  listen '^([0-9]+)$' node -e 'const fs = require("fs"), https = require("https");
    const s = https.createServer({key: fs.readFileSync("key.pem"), cert: fs.readFileSync("cert.pem")},
      (request, response) => setTimeout(() => response.end("late"), 200));
    s.listen(0, "127.0.0.1", () => console.log(s.address().port))'
  printf 'GET / HTTP/1.0\r\n\r\n' | connect >page || fail "a late answer ended with $?"
  grep -q 'late' page || fail "a late answer did not come"
  stop
fi

# -- signals and the terminal --------------------------------------------------------------------------
echo_server
mkfifo quiet
exec {hold}<>quiet
rm -f out
"$securepair" connect "localhost:$port" --ca "$root" -q <quiet >out 2>err &
client=$!
for ((i = 0; i < 200; i++)); do [ -s out ] && break; sleep 0.05; done
kill -INT $client 2>/dev/null || true # ignored: a background job of a shell without job control
kill -TERM $client
status=0
wait $client || status=$?
[ $status -eq 143 ] || fail "SIGTERM ended it with $status"
exec {hold}>&-

in_terminal() {
  cat >session <<END
trap : INT
$securepair connect localhost:$port --ca $root
echo "first: \$?"
$securepair connect localhost:$port --ca $root
echo "second: \$?"
perl -MFcntl -e 'print "flags: ", (fcntl(STDIN, F_GETFL, 0) & O_NONBLOCK ? "non-blocking" : "as before"), "\n"'
stty -a | grep -q ' icanon' && stty -a | grep -q ' echo ' && echo "modes: as before"
echo over
sleep 60
END
  terminal session || return 1
  if await 'welcome!' && typed 'typed by hand' Enter && await $'typed by hand\ntyped by hand' && typed C-d &&
    await 'first: 0' && await $'first: 0\nlocalhost' && await $'session   can be resumed' && typed C-c &&
    await 'second: 130'; then
    await 'flags: as before' && await 'modes: as before' && await over
  fi
  terminal_end
}
if command -v tmux >/dev/null; then
  in_terminal || true
else
  echo "$me: tmux is not here: the terminal is not tried" >&2
fi
exit $failed
