#!/usr/bin/env bash
# The command without memory (R10): whichever of its own allocations fails, it says so and ends; it does not
# crash, nor end well without having done its work.
# Timeout: 180
set -euo pipefail

source=${SP_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
# shellcheck source=test/scripts/serve.sh
. "$source/test/scripts/serve.sh"
need cc
if is_sanitized; then
  echo "$test_name: sanitizers have an allocator of their own" >&2
  exit 77
fi

# Lets the allocation number FAIL_AT fail, and all after it but with FAIL_ONCE, of those that the command itself
# and jansson ask for. How many there were is in the file COUNT_TO at the end.
cat >scarce.c <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static struct { size_t from, to; } ours[2]; /* where their code is */
static int count, once;
static long at, seen;
static int look(struct dl_phdr_info *info, size_t size, void *data) {
  const char *slash = strrchr(info->dlpi_name, '/');
  int first = (*(int *)data)++ == 0; /* the program itself */
  (void)size;
  if (count == 2 || (!first && (!slash || strncmp(slash, "/libjansson", 11) != 0)))
    return 0;
  for (int i = 0; i < info->dlpi_phnum; i++)
    if (info->dlpi_phdr[i].p_type == PT_LOAD && info->dlpi_phdr[i].p_flags & PF_X) {
      ours[count].from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
      ours[count].to = ours[count].from + info->dlpi_phdr[i].p_memsz;
    }
  count++;
  return 0;
}
__attribute__((constructor)) static void begin(void) {
  int objects = 0;
  at = atol(getenv("FAIL_AT"));
  once = getenv("FAIL_ONCE") != NULL;
  dl_iterate_phdr(look, &objects);
}
__attribute__((destructor)) static void end(void) {
  FILE *to = fopen(getenv("COUNT_TO"), "w");
  fprintf(to, "%ld\n", seen);
  fclose(to);
}
static int fails(void *caller) {
  size_t from = (size_t)caller;
  int is_ours = 0;
  for (int i = 0; i < count; i++)
    is_ours |= from >= ours[i].from && from < ours[i].to;
  if (!is_ours)
    return 0;
  long number = seen++;
  if (once ? number != at : number < at)
    return 0;
  errno = ENOMEM;
  return 1;
}
#define FAILS fails(__builtin_return_address(0))
#define REAL(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
void *malloc(size_t n) { return FAILS ? NULL : __libc_malloc(n); }
void *calloc(size_t n, size_t m) { return FAILS ? NULL : __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { return FAILS ? NULL : __libc_realloc(p, n); }
char *strdup(const char *text) { return FAILS ? NULL : REAL(strdup)(text); }
char *strndup(const char *text, size_t n) { return FAILS ? NULL : REAL(strndup)(text, n); }
FILE *open_memstream(char **text, size_t *n) { return FAILS ? NULL : REAL(open_memstream)(text, n); }
static int print(int none, char **text, const char *format, va_list list) {
  return none ? -1 : REAL(vasprintf)(text, format, list);
}
int vasprintf(char **text, const char *format, va_list list) { return print(FAILS, text, format, list); }
int __vasprintf_chk(char **text, int flag, const char *format, va_list list) {
  (void)flag;
  return print(FAILS, text, format, list);
}
int asprintf(char **text, const char *format, ...) {
  va_list list;
  va_start(list, format);
  int n = print(FAILS, text, format, list);
  va_end(list);
  return n;
}
int __asprintf_chk(char **text, int flag, const char *format, ...) {
  va_list list;
  (void)flag;
  va_start(list, format);
  int n = print(FAILS, text, format, list);
  va_end(list);
  return n;
}
END
cc -shared -fPIC -O1 -o scarce.so scarce.c -ldl

# settled FILE: without what differs each time, and without the session, which is there when it came in time.
settled() {
  sed -E -e '/"session_seconds":/d' -e 's/("[a-z_]*(port|seconds|milliseconds)"): *[0-9.]+/\1/' \
    -e 's/\(in [0-9]+ [a-z]+\)//' "$1"
}

# scarce N ARGUMENT...: the command with N allocations and the file `input`; what it ends with is in `status`.
scarce() {
  status=0
  FAIL_AT=$1 COUNT_TO=count LD_PRELOAD=$work/scarce.so "$build/securepair" "${@:2}" >out 2>err <input || status=$?
}

# judge N ARGUMENT...: that it failed in words (status 1), or did all that it does with enough memory.
judge() {
  local what="${*:2}: with allocation $1 failing${FAIL_ONCE:+ alone}"
  [ $status -lt 124 ] || fail "$what it ended with $status: $(tail -3 err)"
  if [ $status -eq 1 ]; then
    [ -s err ] || fail "$what it fails and says nothing"
    return
  fi
  [ $status -eq 0 ] || ! grep -q "memory" err || return 0 # "connect" says by the status what failed, too
  [ $status -eq $enough ] || fail "$what it ends with $status, not $enough: $(tail -3 err)"
  cmp -s wanted out || diff <(settled wanted) <(settled out) >&2 || fail "$what it says something else"
}

# sweep ARGUMENT...: each allocation fails, with all after it and alone.
sweep() {
  local n enough all
  scarce 1000000 "$@"
  enough=$status
  mv out wanted
  all=$(cat count)
  [ "$all" -gt 0 ] || fail "$*: it asks for no memory"
  for ((n = 0; n < all; n++)); do
    scarce $n "$@"
    judge $n "$@"
    FAIL_ONCE=1 scarce $n "$@"
    FAIL_ONCE=1 judge $n "$@"
  done
  printf '%s: %s allocations\n' "$*" "$all"
}

: >input
securepair key --out key.pem
securepair certificate --key key.pem --name localhost --out cert.pem
sweep show key.pem cert.pem
sweep show --json key.pem cert.pem
sweep certificate --help

securepair authority init --subject "CN=test root" 2>said || fail "authority init: $(cat said)"
securepair request --key key.pem --name localhost --out csr.pem
securepair authority sign csr.pem --out signed.pem 2>said || fail "authority sign: $(cat said)"
sweep authority list --json

serve --key key.pem --cert signed.pem
sweep connect "localhost:$port" --json --ca authority/root.pem
seq 100 >input
sweep connect "localhost:$port" --quiet --linger 0 --ca authority/root.pem
stop
finish
