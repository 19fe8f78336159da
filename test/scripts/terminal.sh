# A terminal for tests that need one: tmux's. Sourced; wants $work and fail.
# shellcheck shell=bash disable=SC2154

in_tmux() { tmux -S "$work/tmux" -f /dev/null "$@"; }

# terminal FILE: runs a script of bash's there.
terminal() { TERM=xterm in_tmux new-session -d -x 120 -y 60 "bash $1"; }
terminal_end() { in_tmux kill-server 2>/dev/null || true; }

# typed KEY...: as tmux names them; a text is typed.
typed() { in_tmux send-keys -t 0 "$@"; }

# await TEXT: on the screen
await() {
  local i screen=
  for ((i = 0; i < 400; i++)); do
    screen=$(in_tmux capture-pane -p -t 0 2>/dev/null) || true
    [[ $screen != *$1* ]] || return 0
    read -r -t 0.05 <> <(:) || true
  done
  fail "the terminal does not show \"$1\": $screen"
  return 1
}
