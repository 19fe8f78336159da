#!/usr/bin/env bash
# securepair connect --starttls with the servers that people run: postfix, dovecot (IMAP, POP3, ManageSieve),
# vsftpd, slapd, prosody, PostgreSQL, MariaDB, INN's reader. Each is begun here with a configuration of its own in a
# temporary folder, on free ports of the loopback, under an unprivileged user where it can be, and ended again.
# Servers that are not installed are named and skipped.
set -euo pipefail

# shellcheck source=test/scripts/connecting.bash
. "$(dirname "$0")/scripts/connecting.bash"
need openssl perl setpriv
PATH=$PATH:/usr/sbin:/sbin
make_certificates
tried=()
skipped=()
server=

# -- starting and ending -----------------------------------------------------------------------------
# Some refuse to be root, and none has to be.
user=$(id -un) group=$(id -gn) alone=()
if [ "$(id -u)" -eq 0 ]; then
  user=nobody group=$(id -gn nobody)
  alone=(setpriv "--reuid=$user" "--regid=$group" --clear-groups)
fi
chmod 711 "$work"

# Sets `home`: a folder for a server, its key and certificate in it.
make_home() {
  home=$work/$1
  mkdir "$home"
  cp key.pem cert.pem "$home"
  [ ${#alone[@]} -eq 0 ] || chown -R "$user:$group" "$home"
}

# free_ports NAME...: sets variables of these names; nobody listens there now.
free_ports() {
  local name
  while read -r name; do
    printf -v "$1" %s "$name"
    shift
  done < <(perl -MIO::Socket::INET -e '@all = map { IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1") or die } @ARGV;
    print $_->sockport, "\n" for @all' "$@")
}

# run PORT COMMAND...: in the background, and waits until it listens there. What it says is in $home/log.
run() {
  local i port=$1
  shift
  (cd "$home" && exec "$@") >"$home/log" 2>&1 </dev/null &
  server=$!
  started+=("$server")
  for ((i = 0; i < 600; i++)); do
    if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return; fi
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
  done
  fail "$1 did not start:"
  tail -20 "$home/log" >&2
  return 1
}

# Ends it as its own children are to end, too; waits for that.
end() {
  local i
  kill "${1:--TERM}" "$server" 2>/dev/null || true
  for ((i = 0; i < 200; i++)); do
    kill -0 "$server" 2>/dev/null || break
    sleep 0.05
  done
  stop
}

skip() {
  skipped+=("$1")
  printf '%s: %s is skipped: %s\n' "$me" "$1" "$2" >&2
}
have() { command -v "$1" >/dev/null; }

# -- what is expected of each ------------------------------------------------------------------------
# good PROTOCOL PORT [SAID ANSWER [STATUS]]: TLS it is, the verdict is right either way, and what is said then is
# answered.
good() {
  local protocol=$1 port=$2
  tried+=("$protocol")
  : >in
  expect 0 "localhost:$port" --starttls "$protocol" --ca "$root" --json -4
  says '"authorized": true'
  expect 3 "localhost:$port" --starttls "$protocol" --json -4
  says '"authorization_error": "UNABLE_TO_VERIFY_LEAF_SIGNATURE"'
  [ $# -ge 4 ] || return 0
  printf '%b' "$3" >in
  expect "${5:-0}" "localhost:$port" --starttls "$protocol" --ca "$root" --quiet --crlf -4
  says "$4"
}
# closed PROTOCOL PORT: TLS is switched off there, and so there is no connection.
closed() {
  : >in
  expect 5 "localhost:$2" --starttls "$1" --ca "$root" -4
  says "TLS"
}

# -- postfix -----------------------------------------------------------------------------------------
# As root only; its master starts the others under the user postfix.
try_postfix() {
  local folder=/usr/lib/postfix/sbin p off
  [ -x $folder/master ] || { skip smtp "postfix is not installed"; return; }
  [ "$(id -u)" -eq 0 ] || { skip smtp "postfix begins as root only"; return; }
  make_home postfix
  chown -R root: "$home"
  free_ports p off
  mkdir -p "$home"/{etc,queue/{pid,private,public,active,incoming,deferred,defer,bounce},data}
  chown postfix: "$home/data" "$home"/queue/{private,public,active,incoming,deferred,defer,bounce}
  cat >"$home/etc/main.cf" <<END
compatibility_level = 3.6
queue_directory = $home/queue
data_directory = $home/data
daemon_directory = $folder
inet_interfaces = loopback-only
inet_protocols = ipv4
myhostname = localhost
mydestination =
mynetworks = 127.0.0.0/8
maillog_file = /dev/stdout
maillog_file_prefixes = /dev, $home
smtpd_tls_security_level = may
smtpd_tls_key_file = $home/key.pem
smtpd_tls_cert_file = $home/cert.pem
END
  cat >"$home/etc/master.cf" <<END
127.0.0.1:$p inet n - n - - smtpd
127.0.0.1:$off inet n - n - - smtpd -o smtpd_tls_security_level=none
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
END
  run "$p" env MAIL_CONFIG="$home/etc" $folder/master -c "$home/etc" -d || return 0
  good smtp "$p" 'EHLO there\nQUIT\n' '221 2.0.0 Bye'
  closed smtp "$off"
  end
}

# -- dovecot -----------------------------------------------------------------------------------------
listener() { printf 'service %s-login {\n chroot =\n inet_listener %s {\n address = 127.0.0.1\n port = %s\n }\n' "$@"; }
try_dovecot() {
  local imap pop3 sieve protocols=imap
  have dovecot || { skip "imap, pop3, sieve" "dovecot is not installed"; return; }
  make_home dovecot
  free_ports imap pop3 sieve
  [ ! -e /usr/lib/dovecot/pop3-login ] || protocols+=" pop3"
  [ ! -e /usr/lib/dovecot/managesieve-login ] || protocols+=" sieve"
  {
    cat <<END
base_dir = $home/run
state_dir = $home/state
log_path = /dev/stderr
protocols = $protocols
default_internal_user = $user
default_internal_group = $group
default_login_user = $user
ssl = yes
ssl_key = <$home/key.pem
ssl_cert = <$home/cert.pem
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = uid=$user gid=$group home=$home
}
service anvil {
  chroot =
}
service stats {
  chroot =
}
END
    listener imap imap "$imap"
    printf ' inet_listener imaps {\n port = 0\n }\n}\n'
    if [[ $protocols == *pop3* ]]; then
      listener pop3 pop3 "$pop3"
      printf ' inet_listener pop3s {\n port = 0\n }\n}\n'
    fi
    if [[ $protocols == *sieve* ]]; then
      listener managesieve sieve "$sieve"
      printf '}\n'
    fi
  } >"$home/conf"
  run "$imap" "${alone[@]}" dovecot -F -c "$home/conf" || return 0
  good imap "$imap" 'a LOGOUT\n' 'a OK'
  if [[ $protocols == *pop3* ]]; then
    good pop3 "$pop3" 'QUIT\n' '+OK'
  else
    skip pop3 "dovecot-pop3d is not installed"
  fi
  if [[ $protocols == *sieve* ]]; then
    good sieve "$sieve" 'LOGOUT\n' 'OK "Logout'
  else
    skip sieve "dovecot-managesieved is not installed"
  fi
  end
  sed -i 's/^ssl = yes/ssl = no/' "$home/conf"
  run "$imap" "${alone[@]}" dovecot -F -c "$home/conf" || return 0
  closed imap "$imap"
  [[ $protocols != *pop3* ]] || closed pop3 "$pop3"
  [[ $protocols != *sieve* ]] || closed sieve "$sieve"
  end
}

# -- vsftpd ------------------------------------------------------------------------------------------
try_vsftpd() {
  local p
  have vsftpd || { skip ftp "vsftpd is not installed"; return; }
  make_home vsftpd
  free_ports p
  cat >"$home/conf" <<END
listen=YES
listen_address=127.0.0.1
listen_port=$p
background=NO
run_as_launching_user=YES
seccomp_sandbox=NO
anonymous_enable=YES
anon_root=$home
secure_chroot_dir=$home
xferlog_enable=NO
ftpd_banner=all of you
ssl_enable=YES
allow_anon_ssl=YES
ssl_ciphers=HIGH
rsa_private_key_file=$home/key.pem
rsa_cert_file=$home/cert.pem
END
  [ ${#alone[@]} -eq 0 ] || chown "$user" "$home/conf"
  run "$p" "${alone[@]}" vsftpd "$home/conf" || return 0
  good ftp "$p" 'QUIT\n' '221' 4 # it says no goodbye of TLS, and we tell
  end
  sed -i 's/^ssl_enable=YES/ssl_enable=NO/' "$home/conf"
  run "$p" "${alone[@]}" vsftpd "$home/conf" || return 0
  closed ftp "$p"
  end
}

# -- slapd -------------------------------------------------------------------------------------------
try_slapd() {
  local p
  have slapd || { skip ldap "slapd is not installed"; return; }
  make_home slapd
  free_ports p
  printf 'TLSCertificateFile %s/cert.pem\nTLSCertificateKeyFile %s/key.pem\n' "$home" "$home" >"$home/conf"
  run "$p" "${alone[@]}" slapd -d 0 -h "ldap://127.0.0.1:$p/" -f "$home/conf" || return 0
  good ldap "$p"
  end
  : >"$home/conf"
  run "$p" "${alone[@]}" slapd -d 0 -h "ldap://127.0.0.1:$p/" -f "$home/conf" || return 0
  closed ldap "$p"
  end
}

# -- prosody -----------------------------------------------------------------------------------------
try_prosody() {
  local p off
  have prosody || { skip xmpp "prosody is not installed"; return; }
  make_home prosody
  free_ports p off
  prosody_conf "$p" '"tls", "saslauth"' "certificate = \"$home/cert.pem\"; key = \"$home/key.pem\""
  run "$p" "${alone[@]}" prosody -F --config "$home/conf.lua" || return 0
  good xmpp "$p" "<?xml version='1.0'?><stream:stream to='localhost' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'></stream:stream>" \
    '<stream:features>'
  expect 5 "127.0.0.1:$p" --starttls xmpp --ca "$root" # it serves a name, which is asked for
  says "the server refuses"
  expect 0 "127.0.0.1:$p" --starttls xmpp --ca "$root" --server-name localhost
  end
  prosody_conf "$off" '"saslauth"' ""
  run "$off" "${alone[@]}" prosody -F --config "$home/conf.lua" || return 0
  closed xmpp "$off"
  end
}
prosody_conf() {
  cat >"$home/conf.lua" <<END
data_path = "$home"
pidfile = "$home/pid"
log = { error = "*console" }
modules_enabled = { $2 }
modules_disabled = { "s2s" }
interfaces = { "127.0.0.1" }
c2s_ports = { $1 }
c2s_direct_tls_ports = { }
s2s_ports = { }
http_ports = { }
https_ports = { }
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
VirtualHost "localhost"
  ssl = { $3 }
END
}

# -- PostgreSQL --------------------------------------------------------------------------------------
try_postgres() {
  local p bin
  bin=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -1)
  [ -x "$bin/initdb" ] || { skip postgres "PostgreSQL is not installed"; return; }
  make_home postgres
  free_ports p
  (cd "$home" && "${alone[@]}" "$bin/initdb" -D "$home/data" -A trust -N -E UTF8 --locale=C >"$home/log" 2>&1) || {
    fail "initdb failed"
    cat "$home/log" >&2
    return 0
  }
  local how=("${alone[@]}" "$bin/postgres" -D "$home/data" -p "$p" -k "$home" -h 127.0.0.1
    -c "ssl_key_file=$home/key.pem" -c "ssl_cert_file=$home/cert.pem")
  run "$p" "${how[@]}" -c ssl=on || return 0
  good postgres "$p"
  end -INT
  run "$p" "${how[@]}" || return 0
  closed postgres "$p"
  end -INT
}

# -- MariaDB -----------------------------------------------------------------------------------------
try_mariadb() {
  local p
  have mariadbd || { skip mysql "MariaDB is not installed"; return; }
  make_home mariadb
  free_ports p
  "${alone[@]}" mkdir "$home/data"
  local how=("${alone[@]}" mariadbd --no-defaults "--datadir=$home/data" "--socket=$home/socket" "--port=$p"
    --bind-address=127.0.0.1 --skip-grant-tables --skip-innodb --default-storage-engine=MyISAM
    "--pid-file=$home/pid" --skip-log-bin)
  run "$p" "${how[@]}" "--ssl-cert=$home/cert.pem" "--ssl-key=$home/key.pem" || return 0
  good mysql "$p"
  end
  run "$p" "${how[@]}" --skip-ssl || return 0
  closed mysql "$p"
  end
}

try_postfix
try_dovecot
try_vsftpd
try_slapd
try_prosody
try_postgres
try_mariadb
skip nntp "no server of Debian's begins without being set up for a whole machine"

printf '%s: tried %s; skipped %s\n' "$me" "${tried[*]:-nothing}" "${skipped[*]}"
[ ${#tried[@]} -gt 0 ] || exit 77
exit $failed
