#!/usr/bin/env bash
# The command without memory (R10): whichever of its own allocations fails, it says so and ends; it does not
# crash, nor end well without having done its work.
# Timeout: 180
set -euo pipefail

build=$(cd "${1:-build}" && pwd)
name=command-memory
command -v cc >/dev/null || { echo "$name: cc is not here" >&2; exit 77; }
if grep -qE "__[at]san_init" "$build/securepair"; then
  echo "$name: sanitizers have an allocator of their own" >&2
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failed=0

fail() {
  printf '%s: %s\n' "$name" "$*" >&2
  failed=1
}

# Lets the allocation number FAIL_AT fail, and all after it, of those that the command itself and jansson ask for.
cat >scarce.c <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
static int left = -1;
static int fails(void *caller) {
  static int inside;
  Dl_info info;
  if (inside)
    return 0;
  inside = 1;
  if (left < 0)
    left = getenv("FAIL_AT") ? atoi(getenv("FAIL_AT")) : 1 << 30;
  int ours = dladdr(caller, &info) && info.dli_fname &&
    (strstr(info.dli_fname, "/securepair") || strstr(info.dli_fname, "/libjansson"));
  int failed = ours && --left < 0;
  left = left < 0 ? 0 : left;
  inside = 0;
  if (failed)
    errno = ENOMEM;
  return failed;
}
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
void *malloc(size_t n) { return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(n); }
void *calloc(size_t n, size_t m) { return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(p, n); }
END
cc -shared -fPIC -O1 -o scarce.so scarce.c

"$build/securepair" key --out key.pem
"$build/securepair" certificate --key key.pem --name localhost --out cert.pem

# sweep ARGUMENT...: with 0, 1, 2 ... allocations, until there are enough.
sweep() {
  local n status
  for ((n = 0; n < 2000; n++)); do
    status=0
    FAIL_AT=$n LD_PRELOAD=$PWD/scarce.so timeout 60 "$build/securepair" "$@" >out 2>err </dev/null || status=$?
    [ $status -lt 124 ] || fail "$*: with $n allocations it ended with $status: $(tail -3 err)"
    [ $status -ne 1 ] || [ -s err ] || fail "$*: with $n allocations it fails and says nothing"
    [ $status -eq 1 ] || break
  done
  cmp -s out wanted || fail "$*: with $n allocations it ends with $status and says something else: $(diff wanted out | head -5)"
  [ $n -gt 0 ] || fail "$*: nothing failed"
  [ $n -lt 2000 ] || fail "$*: it never has enough"
}
for file in "" --json; do
  # shellcheck disable=SC2086 # nothing, or an option
  "$build/securepair" show $file key.pem cert.pem >wanted || [ $? -eq 3 ]
  # shellcheck disable=SC2086
  sweep show $file key.pem cert.pem
done
"$build/securepair" certificate --help >wanted
sweep certificate --help
exit $failed
