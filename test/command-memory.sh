#!/usr/bin/env bash
# The command without memory (R10): whichever of its own allocations fails, it says so and ends; it does not
# crash, nor end well without having done its work.
# Timeout: 180
set -euo pipefail

source=${SP_SOURCE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
# shellcheck source=test/scripts/serve.sh
. "$source/test/scripts/serve.sh"
need cc
if grep -qE "__[at]san_init" "$build/securepair"; then
  echo "$test_name: sanitizers have an allocator of their own" >&2
  exit 77
fi

# Lets the allocation number FAIL_AT fail, and all after it, of those that the command itself and jansson ask for.
cat >scarce.c <<'END'
#define _GNU_SOURCE
#include <errno.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
static struct { size_t from, to; } ours[2]; /* where their code is */
static int count, left;
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
  int seen = 0;
  left = atoi(getenv("FAIL_AT"));
  dl_iterate_phdr(look, &seen);
}
static int fails(void *caller) {
  size_t at = (size_t)caller;
  for (int i = 0; i < count; i++)
    if (at >= ours[i].from && at < ours[i].to && --left < 0) {
      left = 0;
      errno = ENOMEM;
      return 1;
    }
  return 0;
}
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
void *malloc(size_t n) { return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(n); }
void *calloc(size_t n, size_t m) { return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(p, n); }
END
cc -shared -fPIC -O1 -o scarce.so scarce.c

# settled FILE: without what differs each time.
settled() { sed -E 's/("[a-z_]*(port|seconds|milliseconds)"): *[0-9.]+/\1/' "$1"; }

# scarce N ARGUMENT...: the command with N allocations; what it ends with is in `status`.
scarce() {
  status=0
  FAIL_AT=$1 LD_PRELOAD=$work/scarce.so timeout 60 "$build/securepair" "${@:2}" >out 2>err </dev/null || status=$?
}

# sweep ARGUMENT...: with 0, 1, 2 ... allocations, until it says what it says with enough of them.
sweep() {
  local n enough
  scarce 1000000 "$@"
  enough=$status
  mv out wanted
  for ((n = 0; n < 3000; n++)); do
    scarce $n "$@"
    [ $status -lt 124 ] || fail "$*: with $n allocations it ended with $status: $(tail -3 err)"
    [ $status -ne 1 ] || [ -s err ] || fail "$*: with $n allocations it fails and says nothing"
    [ $status -eq 1 ] || break
  done
  [ $status -eq $enough ] || fail "$*: with $n allocations it ends with $status, not $enough: $(tail -3 err)"
  diff <(settled wanted) <(settled out) >&2 || fail "$*: with $n allocations it says something else"
  [ $n -gt 0 ] || fail "$*: nothing failed"
  [ $n -lt 3000 ] || fail "$*: it never has enough"
}

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
stop
finish
