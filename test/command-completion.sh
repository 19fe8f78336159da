#!/usr/bin/env bash
# securepair completion: bash, zsh and fish are really asked what they offer, and offer just the options that
# --help lists, the values that the command takes, and files where files are wanted.
# shellcheck disable=SC2317 # what is called by name
# Timeout: 600
set -euo pipefail

build=$(cd "${1:-build}" && pwd)
securepair=$build/securepair
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/home" "$work/zdot" "$work/files" "$work/files/folder"
export HOME=$work/home XDG_CONFIG_HOME=$work/home/config XDG_DATA_HOME=$work/home/data ZDOTDIR=$work/zdot
cd "$work/files"
: >'a file.pem'
failed=0 shells=0

fail() {
  printf 'command-completion: %s\n' "$*" >&2
  failed=1
}

# -- what there is to offer, by the command's own word ---------------------------------------------
options() { "$securepair" "$@" --help | grep -oE '^ +(-., )?--[a-z0-9-]+' | grep -oE -- '--[a-z0-9-]+' | sort -u; }

commands=()
while read -r command; do
  if [ "$command" = authority ]; then
    while read -r word; do commands+=("authority $word"); done < <("$securepair" authority --help |
      sed -nE '/^Usage/,$s/^  ([a-z]+)  +[a-z].*/\1/p')
  else
    commands+=("$command")
  fi
done < <("$securepair" --help | sed -nE '/^Commands/,$s/^  ([a-z]+)  +[a-z].*/\1/p')
[ ${#commands[@]} -gt 8 ] || fail "--help lists only ${commands[*]}"

# check SHELL ASK: ASK answers with the words that come after a command line, one a line.
check() {
  local shell=$1 ask=$2 command known offered
  shells=$((shells + 1))
  for command in "${commands[@]}"; do
    # shellcheck disable=SC2086 # words
    known=$(options $command)
    offered=$($ask "securepair $command --" | grep -- -- | sort -u)
    [ "$offered" = "$known" ] ||
      fail "$shell: after \"$command\" come ${offered//$'\n'/ }; it has ${known//$'\n'/ }"
  done
  expect_words "$shell" "$ask" "securepair authority " init sign revoke crl list
  expect_words "$shell" "$ask" "securepair cert" certificate
  expect_words "$shell" "$ask" "securepair hel" help
  expect_words "$shell" "$ask" "securepair --" --help --version
  expect_words "$shell" "$ask" "securepair help cert" certificate
  expect_words "$shell" "$ask" "securepair help authority re" revoke
  expect_words "$shell" "$ask" "securepair help key "
  expect_words "$shell" "$ask" "securepair key --ec " P-256 P-384 P-521
  expect_words "$shell" "$ask" "securepair key --ec P-3" P-384
  expect_words "$shell" "$ask" "securepair connect --starttls s" sieve smtp
  expect_words "$shell" "$ask" "securepair connect --tls-min " 1.2 1.3
  expect_words "$shell" "$ask" "securepair authority revoke --reason sup" superseded
  expect_words "$shell" "$ask" "securepair completion " bash fish zsh
  expect_words "$shell" "$ask" "securepair key --out a" 'a file.pem'
  expect_words "$shell" "$ask" "securepair show a" 'a file.pem'
  expect_words "$shell" "$ask" "securepair authority sign a" 'a file.pem'
  expect_words "$shell" "$ask" "securepair authority init --folder f" folder
  expect_words "$shell" "$ask" "securepair certificate --days "
}

# Slashes behind folders and backslashes before spaces are the shell's.
expect_words() {
  local shell=$1 ask=$2 line=$3 offered wanted
  shift 3
  wanted=$(printf '%s\n' "$@" | sort -u)
  offered=$($ask "$line" | sed 's/\\//g; s/\/$//' | grep . | sort -u) || true
  [ "$offered" = "$wanted" ] ||
    fail "$shell: after \"$line\" come \"${offered//$'\n'/ }\", not \"${wanted//$'\n'/ }\""
}

# -- bash ------------------------------------------------------------------------------------------
"$securepair" completion bash >securepair.bash
ask_bash() {
  # shellcheck disable=SC2016 # the other bash's
  bash --norc -c '
    source ./securepair.bash
    line=$1
    read -ra COMP_WORDS <<<"$line"
    [[ $line != *" " ]] || COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE=$line COMP_POINT=${#line}
    [[ $(complete -p securepair) == *"-F _securepair "* ]] || exit 1
    _securepair
    printf "%s\n" "${COMPREPLY[@]}"' bash "$1" 2>bash.err
  [ ! -s bash.err ] || fail "bash: $(cat bash.err)"
}
check bash ask_bash
# --ec=P-3 is three words to bash.
ask_equals() { bash --norc -c 'source ./securepair.bash; COMP_WORDS=(securepair key --ec = P-3) COMP_CWORD=4
  _securepair; printf "%s\n" "${COMPREPLY[@]}"'; }
expect_words bash ask_equals "securepair key --ec=P-3" P-384
mv securepair.bash ..

# -- fish ------------------------------------------------------------------------------------------
if command -v fish >/dev/null; then
  "$securepair" completion fish >../securepair.fish
  # shellcheck disable=SC2016 # fish's
  ask_fish() { fish --no-config -c 'source ../securepair.fish; complete -C $argv[1]' "$1" 2>../fish.err | cut -f1; }
  check fish ask_fish
  [ ! -s ../fish.err ] || fail "fish: $(cat ../fish.err)"
fi

# -- zsh -------------------------------------------------------------------------------------------
# zsh completes in a terminal only, so it is given one; what it would offer is caught where it is added.
if command -v zsh >/dev/null && zsh -f -c 'zmodload zsh/zpty' 2>/dev/null; then
  "$securepair" completion zsh >../_securepair
  # In the terminal's zsh: whatever is added between two lines of "----" is an answer.
  cat >../inner.zsh <<'END'
PROMPT=
fpath=(${PWD:h} $fpath)
autoload -Uz compinit
compinit -u -d ${PWD:h}/zcompdump
bindkey '^I' complete-word
zstyle ':completion:*' insert-tab false
compadd() {
  local -a found
  if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
    builtin compadd "$@"
    return
  fi
  builtin compadd -A found "$@"
  (( $#found )) || return 1
  print -rl -- $found
}
line() { print -r -- ---- }
compprefuncs=(line)
comppostfuncs=(line exit)
print -r -- READY
END
  cat >../ask.zsh <<'END'
zmodload zsh/zpty
zpty asked zsh -f -i
zpty -w asked "stty -echo; source ${PWD:h}/inner.zsh"
until [[ $line == *READY* ]]; do zpty -r asked line || exit 1; done
zpty -w -n asked "$1"$'\t'
integer lines=0
while (( lines < 2 )) && zpty -r asked line; do
  line=${line//[$'\r\n']}
  if [[ $line == *---- ]]; then
    (( lines++ ))
  elif (( lines )); then
    print -r -- $line
  fi
done
END
  ask_zsh() { timeout 20 zsh -f ../ask.zsh "$1" </dev/null; }
  check zsh ask_zsh
fi

[ $shells -gt 0 ] || exit 77
exit $failed
