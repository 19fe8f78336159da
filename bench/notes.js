'use strict';
// What a person has to say about a row: where the cost sits when a figure is missed, and what was
// tried. docs/performance.md has it below the row's group.

const handshakes = 'Beside the bare loop our server does as many system calls or fewer (`./run bench counts`) and ' +
  '0.7 to 1 % more instructions (5 % when resumed with TLS 1.2). libuv adds an `ioctl` and an `EPOLL_CTL_DEL` for each ' +
  'connection; the rest of the difference is spread over code that runs once a handshake and is cold then (perf shows ' +
  'nothing of ours above 0.2 %). Tried: TCP_NODELAY inherited from the listener, no `shutdown` after both ends, the ' +
  'last flight together with the answer, one accept a turn, a digest that is fetched once.';

module.exports = { 'handshake-1.3-ecdsa': handshakes };
