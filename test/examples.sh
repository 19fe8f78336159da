#!/usr/bin/env bash
# Every example does what the README says, against real peers: openssl's, its own client, and a few
# lines of Perl where a peer has to misbehave.
set -euo pipefail

build=${1:-build}
examples=${SP_EXAMPLES:-$(cd "$build" && pwd)/examples}
command -v openssl >/dev/null || { echo "examples: openssl is not here" >&2; exit 77; }
command -v perl >/dev/null || { echo "examples: perl is not here" >&2; exit 77; }

work=$(mktemp -d)
started=()
failed=0
patience=60 # seconds that nothing takes, sanitizers included

# shellcheck disable=SC2317 # the trap calls it
cleanup() {
  local pid
  for pid in "${started[@]}"; do
    kill -KILL "$pid" 2>/dev/null || true
  done
  rm -rf "$work"
}
trap cleanup EXIT
cd "$work"

fail() {
  printf 'examples: %s\n' "$*" >&2
  failed=1
}

# fail_with WHAT FILE...: and what these files say.
fail_with() {
  fail "$1"
  shift
  tail -n 20 "$@" >&2 || true
}

example() { timeout "$patience" "$examples/$1" "${@:2}"; }

# A server that cannot start leaves what it holds to the system: no leak worth a report.
# shellcheck disable=SC2317 # expect_status calls it
example_that_cannot_start() {
  ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 example "$@"
}

# expect WHAT PATTERN FILE: a line of the file matches.
expect() { grep -qE -- "$2" "$3" || fail_with "$1: no line like \"$2\"" "$3"; }
expect_not() { ! grep -qE -- "$2" "$3" || fail_with "$1: a line like \"$2\"" "$3"; }

# expect_status WHAT WANTED COMMAND...: runs it with standard output in `out` and the rest in `err`.
expect_status() {
  local what=$1 wanted=$2 status=0
  shift 2
  "$@" >out 2>err || status=$?
  [ $status -eq "$wanted" ] || fail_with "$what: ended with $status instead of $wanted" out err
}

# serve NAME COMMAND...: starts a server, what it says as an error in NAME.err, and waits for its port.
# Sets port and pid.
serve() {
  local name=$1 line output
  shift
  if declare -F "$1" >/dev/null; then
    exec {output}< <("$@" 2>"$name.err") # which itself does exec
  else
    exec {output}< <(exec "$@" 2>"$name.err")
  fi
  pid=$!
  started+=("$pid")
  while read -r -t "$patience" -u "$output" line; do
    if [[ $line =~ ^(listening on port |ACCEPT .*:)([0-9]+)$ ]]; then
      port=${BASH_REMATCH[2]}
      said=$output
      return
    fi
  done
  fail_with "$name did not start" "$name.err"
  exit 1
}

# stop NAME PID: it has to be alive, whatever its clients did.
stop() {
  kill "$2" 2>/dev/null || fail_with "$1 died" "$1.err"
  wait "$2" 2>/dev/null || true
  expect_not "$1" 'ERROR: [A-Za-z]+Sanitizer|runtime error:' "$1.err"
}

# A plain TCP server that misbehaves as told: greets with the first text, answers each line with the
# next one, and ends after the last. Without texts it echoes everything.
plain_server() {
  # shellcheck disable=SC2016,SC2317 # the dollars are Perl's, and `serve` calls it
  exec perl -MIO::Socket::INET -e '
    $SIG{PIPE} = "IGNORE";
    my $listener = IO::Socket::INET->new(Listen => 5, LocalAddr => "127.0.0.1") or die "$!";
    syswrite STDOUT, "listening on port " . $listener->sockport . "\n";
    while (my $peer = $listener->accept) {
      my ($greeting, @answers) = @ARGV;
      if (!@ARGV) {
        while (sysread($peer, my $bytes, 65536)) { print $peer $bytes or last; $peer->flush or last; }
        close $peer;
        next;
      }
      syswrite $peer, $greeting;
      while (@answers && defined(my $line = <$peer>)) { syswrite $peer, shift @answers; }
      1 while sysread($peer, my $rest, 4096);
      close $peer;
    }' -- "$@"
}

# converse SAID HEARD COMMAND...: types SAID to the command once it has been greeted, and waits until
# it prints HEARD; then its input ends. Everything it printed is in `out`.
converse() {
  local line pid from to said=$1 heard=$2 status=1
  shift 2
  rm -f typed
  mkfifo typed
  exec {from}< <(exec timeout "$patience" "$@" 2>err <typed)
  pid=$!
  exec {to}>typed
  : >out
  while [ $status -ne 0 ] && read -r -t "$patience" -u "$from" line; do
    printf '%s\n' "$line" >>out
    if [ -n "$said" ]; then
      (printf '%s\n' "$said" >&"$to") 2>/dev/null || true
      said=
    fi
    case $line in *"$heard"*) status=0 ;; esac
  done
  exec {to}>&-
  kill "$pid" 2>/dev/null || true
  exec {from}<&-
  wait "$pid" 2>/dev/null || true
  [ $status -eq 0 ] || fail_with "$1 did not hear \"$heard\"" out err
}

# raw PORT TEXT: sends a text in the clear and in one piece; what comes back until the end is in `out`.
raw() {
  # shellcheck disable=SC2016 # the dollars are Perl's
  timeout "$patience" perl -MIO::Socket::INET -e '
    my ($port, $text) = @ARGV;
    my $peer = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $port) or die "$!";
    syswrite $peer, $text;
    print $bytes while sysread $peer, $bytes, 4096;' -- "$1" "$2" >out || true
}

#--- keys -------------------------------------------------------------------------------------

# self_signed NAME SUBJECT: NAME-key.pem and NAME-cert.pem
self_signed() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
    -keyout "$1-key.pem" -out "$1-cert.pem" -subj "$2" \
    -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>/dev/null
}

make_keys() {
  self_signed server /CN=localhost/O=Example
  self_signed stranger /CN=stranger
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
    -keyout ca-key.pem -out ca-cert.pem -subj "/CN=Our Authority" 2>/dev/null
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout client-key.pem -out client-csr.pem -subj /CN=alice 2>/dev/null
  openssl x509 -req -in client-csr.pem -CA ca-cert.pem -CAkey ca-key.pem -CAcreateserial -days 2 \
    -out client-cert.pem 2>/dev/null
  head -c 3000000 /dev/urandom >big
  head -c 300000 big >medium
  printf 'hello\n' >small
}

#--- the examples -----------------------------------------------------------------------------

try_usage() {
  local name
  expect_status "client without arguments" 2 example client
  for name in mutual-tls proxy pair-in-memory staple-server starttls-client resume-client names-server several-names \
    key-process shared-key; do
    expect_status "$name without arguments" 2 example "$name"
    expect "$name without arguments" "^usage: $name " err
  done
  expect_status "echo-server with a word for a port" 2 example echo-server eight
  expect_status "starttls-server with a port beyond all" 2 example starttls-server 65536
  expect_status "proxy with a word for a port" 2 example proxy 1x 127.0.0.1 80 key cert
  expect_status "proxy with a word for the other port" 2 example proxy 0 127.0.0.1 1x key cert
  expect_status "starttls-client without its file" 1 example starttls-client localhost 1 nowhere.pem
  expect "starttls-client without its file" 'nowhere\.pem' err
  expect_status "starttls-client without a server" 1 example starttls-client localhost 1 server-cert.pem
  expect "starttls-client without a server" '^cannot connect to localhost port 1: ' err
  expect_status "resume-client with a word for a port" 2 example resume-client localhost 1x
  expect_status "echo-server with a port beyond all" 1 example_that_cannot_start echo-server 65536
  expect "echo-server with a port beyond all" 'SP_EOPTION|EINVAL' err
  mkdir -p empty
  (cd empty && expect_status "echo-server without a key" 1 example_that_cannot_start echo-server 0 &&
    expect "echo-server without a key" 'server-(key|cert)\.pem' err && exit $failed) || failed=1
}

try_echo_server() {
  local echo_port echo_pid
  serve echo-server "$examples/echo-server" 0
  echo_port=$port echo_pid=$pid
  converse "good day" "good day" openssl s_client -quiet -tls1_3 -connect "127.0.0.1:$echo_port"
  expect "s_client by TLS 1.3" '^welcome!$' out
  converse "good day" "good day" openssl s_client -quiet -tls1_2 -connect "127.0.0.1:$echo_port"
  try_client "$echo_port"

  # Port in use; somebody who speaks no TLS; somebody who leaves in the middle of an answer.
  expect_status "a second echo-server" 1 example_that_cannot_start echo-server "$echo_port"
  expect "a second echo-server" EADDRINUSE err
  raw "$echo_port" $'GET / HTTP/1.0\r\n\r\n'
  example client localhost "$echo_port" server-cert.pem <big 2>err | head -c 100000 >/dev/null || true
  # It ends its side, and then resets the connection: writing to that would raise SIGPIPE.
  for _ in {1..100}; do
    expect_status_full "$echo_port"
  done
  converse "still there?" "still there?" openssl s_client -quiet -connect "127.0.0.1:$echo_port"
  expect "a client that speaks HTTP" SP_EHTTP echo-server.err
  stop echo-server "$echo_pid"
}

# The client with a standard output that takes nothing.
expect_status_full() {
  local status=0
  example client localhost "$1" server-cert.pem <medium >/dev/full 2>err || status=$?
  [ $status -eq 1 ] || fail_with "client without room for output: ended with $status" err
}

# The client against the echo server at a port.
try_client() {
  local here=("localhost" "$1")
  { echo welcome!; cat small; } >small.echo
  { echo welcome!; cat big; } >big.echo

  # From a pipe, from a file, from nothing.
  expect_status "client from a pipe" 0 example client "${here[@]}" server-cert.pem < <(cat small)
  cmp -s out small.echo || fail_with "client from a pipe: another answer" out err
  expect "client" '^verdict: authorized$' err
  expect "client" '^protocol: TLSv1\.3$' err
  expect "client" '^cipher: TLS_' err
  expect "client" '^certificate: .*CN=localhost' err
  expect_status "client from a file" 0 example client "${here[@]}" server-cert.pem <small
  cmp -s out small.echo || fail_with "client from a file: another answer" out err
  expect_status "client from nothing" 0 example client "${here[@]}" server-cert.pem </dev/null
  echo welcome! | cmp -s - out || fail_with "client from nothing: another answer" out err
  expect_status "client with much from a pipe" 0 example client "${here[@]}" server-cert.pem < <(cat big)
  cmp -s out big.echo || fail "client with much from a pipe: another answer"
  expect_status "client with much from a file" 0 example client "${here[@]}" server-cert.pem <big
  cmp -s out big.echo || fail "client with much from a file: another answer"

  # Not authorized.
  expect_status "client that trusts nobody here" 1 example client "${here[@]}" <small
  expect "client that trusts nobody here" '^SP_EUNAUTHORIZED: ' err
  expect "client that trusts nobody here" "client localhost $1 CA-FILE" err
  [ ! -s out ] || fail_with "client that trusts nobody here: got an answer" out
  expect_status "client --insecure" 0 example client "${here[@]}" --insecure <small
  expect "client --insecure" '^verdict: NOT authorized \(DEPTH_ZERO_SELF_SIGNED_CERT: .*--insecure' err
  cmp -s out small.echo || fail_with "client --insecure: another answer" out err
  expect_status "client at another name" 1 example client 127.0.0.2 "$1" server-cert.pem <small
  expect "client at another name" '^SP_EUNAUTHORIZED: .*127\.0\.0\.2' err
  expect "client at another name" '^Connect by a name that' err
  expect_not "client at another name" CA-FILE err
  expect_status "client without its file" 1 example client "${here[@]}" nowhere.pem <small
  expect "client without its file" 'nowhere\.pem' err
}

# A server that vanishes: its last bytes are missing, and the client says so.
try_truncation() {
  local line client to server idle
  mkfifo typed-slowly never-typed
  exec {idle}<>never-typed # s_server ends when its input does
  serve s_server openssl s_server -accept 127.0.0.1:0 -key server-key.pem -cert server-cert.pem \
    <never-typed
  server=$pid
  timeout "$patience" "$examples/client" localhost "$port" server-cert.pem \
    <typed-slowly >out 2>err &
  client=$!
  started+=("$client")
  exec {to}>typed-slowly
  echo "are you there?" >&"$to"
  while read -r -t "$patience" -u "$said" line && [[ $line != *"are you there?"* ]]; do :; done
  kill -KILL "$server"
  local status=0
  wait "$client" || status=$?
  exec {to}>&- {idle}>&-
  wait "$server" 2>/dev/null || true
  [ $status -eq 1 ] || fail_with "client after a truncation: ended with $status" out err
  expect "client after a truncation" 'SP_ETRUNCATED|ECONNRESET' err
  expect_status "client without a server" 1 example client localhost "$port" server-cert.pem
  expect "client without a server" ECONNREFUSED err
}

# visit PORT ARGUMENTS...: s_client until the server ends; status does not matter.
visit() {
  timeout "$patience" openssl s_client -quiet -connect "127.0.0.1:$1" "${@:2}" \
    </dev/null >out 2>err || true
}

try_resume_client() {
  local version
  serve echo-server "$examples/echo-server" 0
  expect_status "resume-client" 0 example resume-client localhost "$port" server-cert.pem
  expect "resume-client" '^connection 1: TLSv1\.3, full handshake$' out
  expect "resume-client" '^connection 1: a session of [0-9]+ bytes came$' out
  expect "resume-client" '^connection 2: TLSv1\.3, resumed$' out
  expect_status "resume-client that trusts another" 1 \
    example resume-client localhost "$port" stranger-cert.pem
  expect "resume-client that trusts another" '^SP_EUNAUTHORIZED: ' err
  stop echo-server "$pid"
  for version in 2 3; do
    serve s_server openssl s_server -rev -accept 0 "-tls1_$version" -key server-key.pem \
      -cert server-cert.pem
    expect_status "resume-client, TLS 1.$version" 0 \
      example resume-client localhost "$port" server-cert.pem
    expect "resume-client, TLS 1.$version" "^connection 2: TLSv1\.$version, resumed\$" out
    stop s_server "$pid"
  done
  serve s_server openssl s_server -rev -accept 0 -tls1_2 -no_ticket -no_cache -key server-key.pem \
    -cert server-cert.pem
  expect_status "resume-client without a session" 3 \
    example resume-client localhost "$port" server-cert.pem
  expect "resume-client without a session" '^connection 1: no session came$' out
  expect "resume-client without a session" '^connection 2: TLSv1\.2, full handshake$' out
  stop s_server "$pid"
}

try_mutual_tls() {
  local version mutual=("$examples/mutual-tls" 0 server-key.pem server-cert.pem ca-cert.pem)
  serve mutual-tls "${mutual[@]}"
  for version in -tls1_2 -tls1_3; do
    visit "$port" $version -key client-key.pem -cert client-cert.pem
    expect "mutual-tls for alice" '^hello, alice!' out
    visit "$port" $version -key stranger-key.pem -cert stranger-cert.pem
    expect "mutual-tls for a stranger" '^not authorized: DEPTH_ZERO_SELF_SIGNED_CERT \(' out
    visit "$port" $version
    expect "mutual-tls for nobody" '^not authorized: ' out
  done
  stop mutual-tls "$pid"

  serve mutual-tls-reject "${mutual[@]}" --reject
  for version in -tls1_2 -tls1_3; do
    visit "$port" $version -key client-key.pem -cert client-cert.pem
    expect "mutual-tls --reject for alice" '^hello, alice!' out
    visit "$port" $version -key stranger-key.pem -cert stranger-cert.pem
    expect "mutual-tls --reject for a stranger" 'alert' err
    expect_not "mutual-tls --reject for a stranger" 'hello|not authorized' out
    visit "$port" $version
    expect "mutual-tls --reject for nobody" 'alert' err
  done
  stop mutual-tls-reject "$pid"
  expect "mutual-tls --reject" '^SP_EUNAUTHORIZED: ' mutual-tls-reject.err
}

# respond INDEX-LETTER DATE FILE: what the authority says of alice's certificate.
respond() {
  printf '%s\t400101000000Z\t%s\t%s\tunknown\t/CN=alice\n' "$1" "$2" \
    "$(openssl x509 -noout -serial -in client-cert.pem | cut -d = -f 2)" >index
  openssl ocsp -issuer ca-cert.pem -cert client-cert.pem -reqout request 2>/dev/null >&2
  openssl ocsp -index index -CA ca-cert.pem -rsigner ca-cert.pem -rkey ca-key.pem -reqin request \
    -respout "$3" -ndays 1 >/dev/null 2>&1
}

try_staple() {
  local line
  respond V "" response
  cat client-cert.pem ca-cert.pem >chain.pem
  serve staple-server "$examples/staple-server" 0 client-key.pem chain.pem response
  converse "" "Cert Status: good" openssl s_client -status -connect "127.0.0.1:$port"
  echo junk >response
  kill -HUP "$pid"
  read -r -t "$patience" -u "$said" line
  [[ $line == "what was in force stays" ]] || fail "staple-server after SIGHUP: $line"
  expect "staple-server with junk" '^SP_ESTAPLE: staple_files response: ' staple-server.err
  converse "" "Cert Status: good" openssl s_client -status -tls1_2 -connect "127.0.0.1:$port"
  respond V "" response
  kill -HUP "$pid"
  read -r -t "$patience" -u "$said" line
  [[ $line == "the response is sent until "* ]] || fail "staple-server after SIGHUP: $line"
  stop staple-server "$pid"
  respond R 240101000000Z response
  expect_status "staple-server with a revoked certificate" 1 example_that_cannot_start staple-server 0 \
    client-key.pem chain.pem response
  expect "staple-server with a revoked certificate" '^SP_ESTAPLE: .*was revoked by Our Authority' err
}

# Each name has its certificate; who knocks is told by its fingerprint, and can be sent away by it.
try_several_names() {
  local version line
  local names=("$examples/several-names" 0 server-key.pem server-cert.pem '*.example' stranger-key.pem
    stranger-cert.pem)
  serve several-names "${names[@]}"
  for version in -tls1_2 -tls1_3; do
    visit "$port" $version -servername mail.example -alpn h3,h2
    expect "several-names for a name" '^you asked for mail\.example and speak h2$' out
    expect "several-names for a name" 'CN ?= ?stranger' err
    visit "$port" $version -noservername
    expect "several-names for no name" '^you asked for  and speak whatever you like$' out
    expect "several-names for no name" 'CN ?= ?localhost' err
    visit "$port" $version -alpn h3
    expect "several-names for another protocol" 'alert number 120' err
  done
  read -r -t "$patience" -u "$said" line
  [[ $line =~ ^(t12d[0-9]{4}h3_[0-9a-f]{12}_[0-9a-f]{12})\ asks\ for\ mail\.example$ ]] ||
    fail "several-names says of s_client: $line"
  stop several-names "$pid"
  serve several-names "${names[0]}" --refuse "${BASH_REMATCH[1]:-}" "${names[@]:1}"
  visit "$port" -tls1_2 -servername mail.example -alpn h3,h2
  expect "several-names --refuse" 'alert number 49' err
  visit "$port" -tls1_3 -servername mail.example -alpn h3,h2
  expect "several-names --refuse for others" '^you asked for mail\.example' out
  stop several-names "$pid"
  expect_status "several-names with a name that is none" 1 example_that_cannot_start several-names 0 \
    server-key.pem server-cert.pem "two words" server-key.pem server-cert.pem
  expect "several-names with a name that is none" 'a name is a host name' err
}

try_key_process() {
  local version
  openssl genrsa -out rsa-key.pem 2048 2>/dev/null
  openssl req -x509 -key rsa-key.pem -days 2 -subj /CN=rsa -out rsa-cert.pem
  for key in server rsa; do
    serve key-process "$examples/key-process" 0 $key-key.pem $key-cert.pem
    for version in -tls1_2 -tls1_3; do
      visit "$port" $version
      expect "key-process, $key" '^signed elsewhere$' out
    done
    stop key-process "$pid"
  done
  serve key-process "$examples/key-process" 0 stranger-key.pem server-cert.pem # not its key
  visit "$port"
  expect_not "key-process with another key" 'signed elsewhere' out
  stop key-process "$pid"
}

try_shared_key() {
  local version key=000102030405060708090a0b0c0d0e0f
  serve shared-key "$examples/shared-key" serve 0 $key
  for version in "-tls1_2 -cipher PSK" -tls1_3; do
    # shellcheck disable=SC2086 # one or three words
    visit "$port" $version -psk_identity lamp -psk $key
    expect "shared-key for s_client" '^welcome!$' out
  done
  expect_status "shared-key" 0 example shared-key localhost "$port" lamp $key
  expect shared-key '^welcome!$' out
  expect_status "shared-key with another key" 1 example shared-key localhost "$port" lamp f$key"0"
  expect_status "shared-key with a word for a key" 2 example shared-key localhost "$port" lamp sesame
  expect "shared-key with a word for a key" 'hexadecimal' err
  stop shared-key "$pid"
}

# The server knows a session again that it keeps itself, in whichever thread.
try_session_store() {
  local version
  serve session-store-server "$examples/session-store-server" 0
  for version in -tls1_2 -tls1_3; do
    timeout "$patience" openssl s_client -connect "127.0.0.1:$port" $version -ign_eof -sess_out session \
      </dev/null >out 2>err || true
    expect "session-store-server" '^welcome!' out
    timeout "$patience" openssl s_client -connect "127.0.0.1:$port" $version -ign_eof -sess_in session \
      </dev/null >out 2>err || true
    expect "session-store-server, again" '^welcome back!' out
  done
  stop session-store-server "$pid"
}

try_starttls() {
  serve starttls-server "$examples/starttls-server" 0
  local here=(localhost "$port" server-cert.pem)
  expect_status "starttls-client" 0 example starttls-client "${here[@]}" "good day"
  expect "starttls-client" '^good day$' out
  expect "starttls-client" '^secure: TLSv1\.3$' err
  expect_status "starttls-client that trusts another" 1 \
    example starttls-client localhost "$port" stranger-cert.pem
  expect "starttls-client that trusts another" '^SP_EUNAUTHORIZED: ' err

  raw "$port" $'CAPA\r\nECHO early\r\nQUIT\r\n'
  expect "starttls-server in the clear" '^250 STARTTLS ECHO QUIT' out
  expect "starttls-server in the clear" '^530 ' out
  expect "starttls-server in the clear" '^221 bye' out
  raw "$port" $'STARTTLS\r\nECHO injected\r\n'
  expect_not "starttls-server and an injection" injected out
  expect "starttls-server and an injection" '^SP_EINJECTED: ' starttls-server.err
  expect_status "starttls-client after that" 0 example starttls-client "${here[@]}"
  stop starttls-server "$pid"
  try_starttls_misbehaved
}

# misbehave WHAT PATTERN TEXT...: the client gives up on a server that says these texts.
misbehave() {
  local what=$1 pattern=$2
  shift 2
  serve plain plain_server "$@"
  expect_status "$what" 1 example starttls-client localhost "$port" server-cert.pem
  expect "$what" "$pattern" err
  expect_not "$what" evil out
  kill "$pid"
  wait "$pid" 2>/dev/null || true
}

try_starttls_misbehaved() {
  local ready=$'220 ready\r\n' offer=$'250 STARTTLS ECHO QUIT\r\n' ahead=$'220 go ahead\r\n'
  misbehave "a server without STARTTLS" 'does not offer STARTTLS' "$ready" $'250 ECHO QUIT\r\n'
  misbehave "a server that talks out of turn" 'not asked' "$ready$offer" "$ahead"
  misbehave "an injection after go ahead" SP_EINJECTED "$ready" "$offer" "$ahead"$'250 evil\r\n'
  misbehave "a refusal" 'no answer I know: "454 not \\x1bnow"$' "$ready" "$offer" $'454 not \enow\r\n'
}

# A server that accepts and says nothing: the client waits for it while the other examples run.
start_silence() {
  serve silent-server plain_server ""
  silent_server=$pid
  timeout "$patience" "$examples/starttls-client" localhost "$port" server-cert.pem 2>silence.err &
  silence=$!
  started+=("$silence")
}

try_silence() {
  local status=0
  wait "$silence" || status=$?
  [ $status -eq 1 ] || fail_with "starttls-client at a silent server: ended with $status" silence.err
  expect "starttls-client at a silent server" 'said nothing for 10 seconds' silence.err
  kill "$silent_server"
  wait "$silent_server" 2>/dev/null || true
}

try_proxy() {
  local backend backend_port proxy
  serve backend plain_server
  backend=$pid backend_port=$port
  serve proxy "$examples/proxy" 0 127.0.0.1 "$backend_port" server-key.pem server-cert.pem
  proxy=$pid
  expect_status "client through the proxy" 0 example client localhost "$port" server-cert.pem <big
  cmp -s out big || fail_with "client through the proxy: another answer" err proxy.err
  example client localhost "$port" server-cert.pem <big 2>err | head -c 100000 >/dev/null || true
  expect_status "client after one that left" 0 example client localhost "$port" server-cert.pem <small
  cmp -s out small || fail_with "client after one that left: another answer" out err proxy.err
  raw "$port" $'GET / HTTP/1.0\r\n\r\n'
  expect "proxy for a client that speaks HTTP" SP_EHTTP proxy.err
  kill "$backend"
  wait "$backend" 2>/dev/null || true
  expect_status "client without a backend" 1 example client localhost "$port" server-cert.pem <small
  expect "proxy without a backend" "cannot connect to 127.0.0.1 port $backend_port .*connection refused" proxy.err
  stop proxy "$proxy"
}

# served NAME: what a crew of workers said at its end; sets `sum`, and checks that none was idle.
served() {
  local line clean=no number
  sum=0
  while read -r -t "$patience" -u "$said" line; do
    case $line in
    "worker "*" served 0") fail "$1: a worker without clients: $line" ;;
    "worker "*" served "*) number=${line##* } sum=$((sum + number)) ;;
    stopped) clean=yes ;;
    esac
  done
  [ $clean = yes ] || fail_with "$1 did not stop cleanly" "$1.err"
}

# Real clients, spread over threads, and over processes that share a port.
try_workers() {
  local i crew_port first first_said first_sum
  local crew=("$examples/workers" 0 server-key.pem server-cert.pem 2)
  expect_status "workers without arguments" 2 example workers
  expect "workers without arguments" "^usage: workers " err
  serve workers "${crew[@]}"
  crew_port=$port first=$pid first_said=$said
  for i in {1..30}; do
    expect_status "client $i of the workers" 0 example client localhost "$crew_port" server-cert.pem <small
    cmp -s out small || fail_with "client $i of the workers: another answer" out err workers.err
  done
  crew[1]=$crew_port
  serve workers-again "${crew[@]}"
  [ "$port" -eq "$crew_port" ] || fail "two crews of workers: two ports"
  for i in {31..70}; do
    expect_status "client $i of both crews" 0 example client localhost "$crew_port" server-cert.pem <small
  done
  kill -TERM "$pid"
  served workers-again
  first_sum=$sum
  said=$first_said
  kill -TERM "$first"
  served workers
  [ $((sum + first_sum)) -eq 70 ] || fail "workers: $sum and $first_sum clients, not 70"
  expect_not workers 'ERROR: [A-Za-z]+Sanitizer|runtime error:' workers.err
}

try_pair_in_memory() {
  expect_status pair-in-memory 0 example pair-in-memory server-key.pem server-cert.pem
  expect pair-in-memory '^client -> server: [0-9]+ bytes$' out
  expect pair-in-memory '^  server hears: ping$' out
  expect pair-in-memory '^  client hears: pong$' out
  expect pair-in-memory '^both ended: TLSv1\.3, TLS_.*, server authorized$' out
  expect_status "pair-in-memory, another name" 1 \
    example pair-in-memory server-key.pem server-cert.pem other.example
  expect "pair-in-memory, another name" '^client: SP_EUNAUTHORIZED: .*other\.example' err
  expect "pair-in-memory, another name" '^server: SP_EALERT: ' err
  expect_status "pair-in-memory, another key" 1 \
    example pair-in-memory stranger-key.pem server-cert.pem
  expect "pair-in-memory, another key" '^SP_EMISMATCH: ' err
}

# A certificate is renewed under the server, by its own doing; a half of it is not taken on SIGHUP.
try_reload_server() {
  cp server-key.pem reload-key.pem
  cp server-cert.pem reload-cert.pem
  serve reload-server "$examples/reload-server" reload-key.pem reload-cert.pem 0
  shown "$port" >before
  cmp -s before server-cert.pem || fail_with "reload-server shows another certificate" before
  cp stranger-key.pem new-key.pem
  mv new-key.pem reload-key.pem
  kill -HUP "$pid"
  wait_for "reload-server tells of the key alone" SP_EMISMATCH reload-server.err
  cp stranger-cert.pem reload-cert.pem
  wait_for "reload-server takes the new certificate" 'a new certificate is in force' reload-server.err
  shown "$port" >after
  cmp -s after stranger-cert.pem || fail_with "reload-server shows the old certificate" after
  stop reload-server "$pid"
}

# Names with a certificate in the folder, one without, none at all.
try_names() {
  mkdir names
  cp server-key.pem names/localhost-key.pem
  cp server-cert.pem names/localhost-cert.pem
  serve names-server "$examples/names-server" 0 names
  timeout "$patience" openssl s_client -connect "127.0.0.1:$port" -servername localhost </dev/null \
    2>/dev/null | openssl x509 >after
  cmp -s after server-cert.pem || fail_with "names-server shows another certificate" after
  expect_status "a name without certificate" 1 timeout "$patience" openssl s_client \
    -connect "127.0.0.1:$port" -servername other.example </dev/null
  expect "a name without certificate" 'alert number 112' err
  expect names-server '^ENOENT: .*names/other.example-' names-server.err
  expect_status "no name" 1 timeout "$patience" openssl s_client -connect "127.0.0.1:$port" \
    -noservername </dev/null
  expect "no name" 'alert number 112' err
  expect_status "client of names-server" 0 example client localhost "$port" server-cert.pem <small
  cmp -s small out || fail_with "names-server does not echo" out
  stop names-server "$pid"
}

# The certificate that a server shows, as PEM.
shown() {
  timeout "$patience" openssl s_client -connect "127.0.0.1:$1" </dev/null 2>/dev/null | openssl x509
}

# wait_for WHAT PATTERN FILE: until a line of the file matches.
wait_for() {
  timeout "$patience" grep -qE -m1 -- "$2" <(exec tail -n +1 -F -s 0.05 --pid=$$ "$3" 2>/dev/null) ||
    fail_with "$1: no line like \"$2\"" "$3"
}

try_metrics() {
  serve metrics-server "$examples/metrics-server" 0 server-key.pem server-cert.pem
  raw "$port" $'GET / HTTP/1.0\r\n\r\n'
  expect "metrics-server for a client that speaks HTTP" '^SP_EHTTP: ' metrics-server.err
  expect_status "client of metrics-server" 0 example client localhost "$port" server-cert.pem <small
  expect metrics-server '^securepair_accepted_total 2' out
  expect metrics-server '^securepair_connections 1' out
  expect metrics-server '^securepair_handshakes_total\{kind="full"\} 1' out
  expect metrics-server '^securepair_handshakes_failed_total\{reason="plain_http"\} 1' out
  expect metrics-server '^securepair_handshake_seconds_count 1' out
  stop metrics-server "$pid"
}

make_keys
start_silence
try_metrics
try_usage
try_pair_in_memory
try_echo_server
try_resume_client
try_truncation
try_mutual_tls
try_staple
try_several_names
try_key_process
try_shared_key
try_session_store
try_starttls
try_proxy
try_reload_server
try_names
try_workers
try_silence
exit $failed
