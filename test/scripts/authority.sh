# shellcheck shell=bash
# What test/command-authority-*.sh share: an authority in a folder that is gone at the end, whether all that
# it gave out is on record, and doing something at each call that writes.
scripts=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
securepair=$build/securepair
command -v openssl >/dev/null || { echo "$name: openssl is not here" >&2; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export ASAN_OPTIONS=detect_leaks=0 # LeakSanitizer cannot look while strace does
# shellcheck source=test/scripts/expect.sh
. "$scripts/expect.sh"

serials() { "$securepair" authority list --json | grep -o '"serial": "[^"]*"' | cut -d'"' -f4 | sort; }
serial_of() { openssl x509 -in "$1" -noout -serial | cut -d= -f2; }

# on_record FILE...: certificates that were given out.
on_record() {
  local file
  serials >known
  [ -z "$(uniq -d known)" ] || fail "a serial was given twice"
  for file in "$@"; do
    [ -e "$file" ] || continue
    serial_of "$file" >serial || fail "$file is half a certificate"
    grep -qxFf serial known || fail "$file was given out and is not on record"
  done
}

nothing_left() { ! compgen -G "$1.*.tmp" >/dev/null || fail "a draft is left: $(compgen -G "$1.*.tmp")"; }

# Whether a file can be written without a name until it is done; elsewhere a kill leaves its draft.
drafts_have_no_names() {
  perl -e 'use Fcntl; exit !sysopen(my $f, ".", 0x410000 | O_WRONLY, 0600)' 2>/dev/null
}

expect 0 "$securepair" key --out key.pem
expect 0 "$securepair" request --key key.pem --name a.example --out csr.pem

can_trace() { command -v strace >/dev/null && strace -o /dev/null true 2>/dev/null; }
calls=pwrite64,write,fsync,fdatasync,linkat,link,rename,unlink,ftruncate

# at CALL K WHAT COMMAND...: does WHAT (signal=SIGKILL, error=ENOSPC) at the Kth call of that kind.
at() {
  local call=$1 k=$2 what=$3
  shift 3
  (strace -f -qq -o /dev/null -e trace="$call" -e "inject=$call:$what:when=$k" "$@"; exit $?) \
    >injected.out 2>injected.err </dev/null
}

# at_every WHAT CHECK RESET COMMAND...: at each call that writes, one after the other; CHECK gets the status.
at_every() {
  local what=$1 check=$2 reset=$3 call status number=0
  shift 3
  strace -qq -o trace -e trace=$calls "$@" >/dev/null 2>&1 </dev/null || fail "$* fails"
  sed -nE 's/^([a-z0-9]+)\(.*/\1/p' trace | awk '{ print $1, ++count[$1] }' >places
  [ "$(wc -l <places)" -gt 8 ] || fail "$* makes only $(wc -l <places) calls that write"
  $reset
  while read -r -u 3 call number; do
    status=0
    at "$call" "$number" "$what" "$@" 2>/dev/null || status=$?
    $check $status || fail "$what at $call $number of $*: status $status, $(cat injected.err)"
    $reset
  done 3<places
}
