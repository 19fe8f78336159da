#!/usr/bin/env bash
# Many connections, with the module's part in C under AddressSanitizer: what is not freed when
# node ends is a leak, and LeakSanitizer says where it came from. (It tells the truth here: node
# frees its own. valgrind is much slower and says no more.)
#
#     SECUREPAIR_BUILD_DIR=folder leaks.sh [CONNECTIONS]
#
# The folder holds the binding as SECUREPAIR_SANITIZE=address builds it; ./run soak node does all
# that.
set -euo pipefail

connections=${1:-10000}
here=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")" && pwd)
: "${SECUREPAIR_BUILD_DIR:?leaks.sh: names the folder of the binding with AddressSanitizer}"
library=$("${CC:-gcc}" -print-file-name=libasan.so)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export SECUREPAIR_TEST_KEYS=$work

# Without a sanitizer, which openssl has no use for.
node -e "
  const { keys } = require('$here/support/keys');
  require('fs').cpSync(keys().folder, process.argv[1], { recursive: true });
" "$work"

# Call stacks in full are slow, and only of interest once there is something.
options=detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1:malloc_context_size=12
LD_PRELOAD=$library ASAN_OPTIONS=$options UBSAN_OPTIONS=print_stacktrace=1 \
  node --expose-gc "$here/support/soak.js" "$connections"
echo "No leaks in $connections connections."
