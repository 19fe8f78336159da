#!/usr/bin/env bash
# What securepair serve gives up before its first client: root's rights, programs that give rights, files,
# outgoing connections, system calls; and that it reloads all the same.
# shellcheck disable=SC2119,SC2317
set -euo pipefail

source=${SP_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
# shellcheck source=test/scripts/serve.sh
. "$source/test/scripts/serve.sh"
need openssl perl

# status NAME VALUE: of every thread.
status() {
  local file
  for file in /proc/"$server"/task/*/status; do
    grep -qE "^$1:[[:space:]]*$2" "$file" || fail "$file: $(grep "^$1:" "$file"), not $2"
  done
}
told() { grep -qE '"event": "sandbox".*"'"$1"'": true' log; }
pair() {
  securepair key --out "$1.key" --force
  securepair certificate --key "$1.key" --name "$2" --out "$1.pem" --force
}
shown() {
  timeout $patience openssl s_client -connect "127.0.0.1:$port" -servername "$1" </dev/null 2>/dev/null |
    openssl x509 -noout -subject -nameopt multiline 2>/dev/null | sed -n 's/^ *commonName *= //p'
}
serves() { [ "$(shown "$1")" = "$2" ]; }

mkdir names outside
pair names/a.example a.example
pair outside/b.example b.example
cat outside/b.example.pem outside/b.example.key >outside/both.pem

# -- files ---------------------------------------------------------------------------------------------
serve --json --sni-folder names --handshake-workers
talk hello || fail "no connection"
status NoNewPrivs 1
if is_sanitized; then
  printf '%s: a build with sanitizers has no sandbox\n' "$test_name" >&2
  exit 77
fi
told seccomp || fail "there is no seccomp: was libseccomp there when it was built?"
status Seccomp 2
pair names/a.example a.example # what may be read is
wait_for '"event": "reloaded"'
landlock=no
if told landlock_files; then
  landlock=yes
  ln -s "$PWD/outside/both.pem" names/b.example.pem # and what lies elsewhere is not
  wait_for "b.example is not served: "
  says "ermission denied"
  serves b.example localhost || fail "a file outside the folder was read"
  rm names/b.example.pem
  mv outside/both.pem names/b.example.pem
  until_true serves b.example b.example || fail "a file that came into the folder is not read"
else
  printf '%s: Landlock: not here\n' "$test_name" >&2
fi
stop

# Of ioctl only the requests that a server needs: asked from within, right after the filter is there.
cat >probe.c <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>
int seccomp_load(void *filter) {
  int (*load)(void *) = (int (*)(void *))dlsym(RTLD_NEXT, "seccomp_load");
  int status = load(filter), n = 0;
  struct termios modes;
  ioctl(2, TIOCSTI, "x");
  dprintf(2, "TIOCSTI: %m\n");
  ioctl(2, TIOCLINUX, &n);
  dprintf(2, "TIOCLINUX: %m\n");
  tcsetattr(2, TCSANOW, &modes);
  dprintf(2, "TCSETS: %m\n");
  struct winsize size;
  ioctl(2, TIOCGWINSZ, &size);
  dprintf(2, "TIOCGWINSZ: %m\n");
#ifdef TCGETS2 /* with the size of struct termios2, which cannot be had beside termios.h */
  char modes2[44];
  ioctl(2, _IOR('T', 0x2A, modes2), modes2);
  dprintf(2, "TCGETS2: %m\n");
#endif
  return status;
}
END
if command -v cc >/dev/null && cc -shared -fPIC -o probe.so probe.c; then
  LD_PRELOAD=$PWD/probe.so serve
  for request in TIOCSTI TIOCLINUX TCSETS; do says "$request: Function not implemented"; done
  for request in TIOCGWINSZ TCGETS2; do says_not "$request: Function not implemented"; done
  says "TIOCGWINSZ: Inappropriate ioctl"
  stop
else
  printf '%s: no compiler: ioctl is not asked\n' "$test_name" >&2
fi

serve --json --sni-folder names --no-sandbox
status Seccomp 0
status NoNewPrivs 0
says_not '"event": "sandbox"'
stop

# A link behind which the files change, as certbot and Kubernetes have it.
mkdir -p live archive/1 archive/2
for i in 1 2; do
  securepair key --out archive/$i/key.pem
  securepair certificate --key archive/$i/key.pem --name localhost --subject "CN=number $i" --out archive/$i/cert.pem
done
ln -s ../archive/1 live/now
serve --cert live/now/cert.pem --key live/now/key.pem
serves localhost "number 1" || fail "the certificate is $(shown localhost)"
ln -s ../archive/2 live/new
mv -T live/new live/now
if [ $landlock = yes ]; then
  wait_for "what was read before stays in force" # it leads out of what could be read
else
  until_true serves localhost "number 2" || fail "what is behind a link is not noticed"
fi
stop
ln -sfn ../archive/1 live/now
serve --cert live/now/cert.pem --key live/now/key.pem --readable archive
ln -s ../archive/2 live/new
mv -T live/new live/now
until_true serves localhost "number 2" || fail "what is behind a link is not noticed, although it may be read"
stop

# -- commands: they have no sandbox of ours, but no way to more rights ------------------------------------------
serve --exec 'grep -E "^(NoNewPrivs|Seccomp):" /proc/self/status; cat outside/b.example.pem'
talk hello || fail "no connection"
grep -qE '^NoNewPrivs:[[:space:]]*1' out || fail "a command may gain rights: $(cat out)"
grep -q 'BEGIN CERTIFICATE' out || fail "a command cannot read files"
stop

# -- another user ------------------------------------------------------------------------------------------------
status=0
if [ "$(id -u)" -ne 0 ]; then
  securepair serve 0 --user root 2>err </dev/null || status=$?
  [ $status -eq 1 ] || fail "it became root"
  finish
fi
chmod 755 .
chmod 640 names/a.example.key
chgrp nogroup names/a.example.key
securepair key --out secret.key
openssl req -new -key secret.key -subj /CN=secret -out secret.csr
openssl x509 -req -in secret.csr -signkey secret.key -days -1 -out secret.pem 2>/dev/null
chmod 600 secret.pem
serve --user nobody --key secret.key --cert secret.pem --sni-folder names
says_not "runs as root"
uid=$(id -u nobody)
gid=$(id -g nobody)
status Uid "(${uid}[[:space:]]*){4}"
status Gid "(${gid}[[:space:]]*){4}"
status Groups "$gid *$"
for set in CapInh CapPrm CapEff CapAmb; do
  status $set '0+$'
done
serves localhost secret || fail "a key that only root can read was not read in time"
says "secret.pem: It ends before it begins"
serves a.example a.example || fail "a.example is not served"
securepair certificate --key names/a.example.key --name a.example --subject CN=renewed --out names/a.example.pem --force
until_true serves a.example renewed || fail "as another user it does not reload"
touch secret.pem
kill -HUP "$server"
wait_for "ermission denied; what was read before stays in force"
serves localhost secret || fail "the certificate got lost"
stop

serve --user nobody --exec 'id -u; id -G'
talk hello || fail "no connection"
[ "$(cat out)" = "$uid"$'\n'"$gid" ] || fail "the command runs as $(cat out)"
stop
securepair serve 0 --user root 2>err </dev/null || status=$?
if [ $status -ne 1 ] || ! grep -q "that is root" err; then fail "--user root: $status, $(cat err)"; fi
serve
says "runs as root: --user"
stop
finish
