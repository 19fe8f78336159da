#!/usr/bin/env bash
# Passphrases that are typed: whoever is tired of a question ends the command by Ctrl-C or SIGTERM, stops it
# by Ctrl-Z, and has the terminal as it was.
# shellcheck disable=SC2317
set -euo pipefail

source=${SP_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
# shellcheck source=test/scripts/serve.sh
. "$source/test/scripts/serve.sh"
# shellcheck source=test/scripts/terminal.sh
. "$source/test/scripts/terminal.sh"
need tmux

printf 'correct horse\n' >secret
securepair key --passphrase-file secret --out locked.pem
securepair certificate --key locked.pem --passphrase-file secret --name localhost --out cert.pem
securepair request --key locked.pem --passphrase-file secret --name localhost --out csr.pem
securepair authority init --passphrase-file secret >/dev/null

# in_terminal: runs what is on standard input there, in a shell that does not end with its commands. In it,
# `ended WORD` tells of the command before.
in_terminal() {
  {
    cat <<'END'
trap : INT
ended() {
  local status=$? echo=hidden
  ! stty -a | grep -q ' echo ' || echo=shown
  printf '%s: %s %s\n' "$1" "$status" "$echo"
}
END
    cat
    echo 'sleep 60'
  } >session
  terminal session
}

# The command's process, once it asks; it is told from the test's own by its folder.
asking() { pid=$(pgrep -n -f "^$build/securepair $1"); }

# -- each command that asks -----------------------------------------------------------------------
n=0
for command in "serve 0 --key locked.pem --cert cert.pem" "show locked.pem" "key --ask-passphrase" \
  "connect localhost:1 --key locked.pem --cert cert.pem" "request --key locked.pem --name a.example" \
  "authority sign csr.pem"; do
  question='Passphrase of'
  [[ $command != *--ask-passphrase ]] || question='New passphrase:'
  in_terminal <<END
$build/securepair $command
ended first-$n
$build/securepair $command
ended second-$n
END
  if await "$question" && typed C-c && await "first-$n: 130 shown" && await "shown"$'\n'"$question" &&
    until_true asking "$command"; then
    kill -TERM "$pid"
    await "second-$n: 143 shown" || true
  fi
  terminal_end
  n=$((n + 1))
done

# -- stopped, and gone on with ------------------------------------------------------------------------
in_terminal <<END
set -m
$build/securepair show locked.pem
ended stopped
fg
ended done
END
if await 'locked.pem:' && typed C-z && await 'stopped: 148 shown' &&
  await $'locked.pem\nPassphrase of locked.pem:' && typed 'correct horse' Enter; then
  await 'private key, encrypted' || true
  await 'done: 0 shown' || true
fi
terminal_end

# -- stopped, and the terminal goes: so does the command, though nohup has it deaf to that ----------------
in_terminal <<END
set -m
(trap '' HUP; exec $build/securepair show locked.pem)
ended stopped
END
# shellcheck disable=SC2329 # until_true calls it
is_gone() { ! grep -qs . "/proc/$pid/cmdline"; } # of a process nobody waits for it is empty
if await 'locked.pem:' && asking "show locked.pem" && typed C-z && await 'stopped: 148 shown'; then
  terminal_end
  until_true is_gone || { fail "it goes on without its terminal"; kill -KILL "$pid"; }
fi
terminal_end

# -- signals are heard in time, once it serves ----------------------------------------------------------
in_terminal <<END
$build/securepair serve 0 --key locked.pem --cert cert.pem
ended served
END
if await 'locked.pem:' && typed 'correct horse' Enter && await 'listening on'; then
  typed C-c
  await 'SIGINT: no more clients' || true
  await 'served: 0 shown' || true
fi
terminal_end
finish
