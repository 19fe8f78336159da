'use strict';
// What a person has to say about a row: where the cost sits when a figure is missed, and what was
// tried. docs/performance.md has it below the row's group.

const handshakes = [
  'Where a handshake costs more than in the bare loop, as far as it is known: not in system calls, of which there are as many ' +
  'or fewer, and hardly in the number of instructions (`./run bench counts`), but in how these run.',
  'The library\'s own nine thousand and libuv\'s three run once a handshake, each function cold in the first-level cache ' +
  '(two thousand lines more of 35,000, by `valgrind --tool=callgrind --cache-sim=yes --LL=1048576,16,64`; a second level of ' +
  '1 MB holds all of both). Sampled by `perf record -e cpu-clock -F 997` they take 16 us, the bare loop\'s own code 2: most of ' +
  'the difference of the first row, less than half of those with RSA and TLS 1.2. libuv adds an `ioctl` and an ' +
  '`EPOLL_CTL_DEL` for each connection.',
  'Kept of what was tried: TCP_NODELAY inherited from the listener, no `shutdown` after both ends, the last flight together ' +
  'with the answer, one accept a turn, a digest that is fetched once, calls that are not bound late (our server is linked with ' +
  'the shared library here), a callback for the hello alone.',
  'Not kept: link-time optimisation (in the shared library as good as the calls above; a static one with it ties its users to ' +
  'one compiler), profiles, no timers at all, a read right after the handshake or right after accept, TCP_DEFER_ACCEPT, ' +
  'failures marked as cold.',
  'OpenSSL 3.0 itself walks its table of names eight times a handshake and asks getpid six times: nothing of ours can spare ' +
  'it that. Beside libevent an RSA signature, the same in both, is nearly half of a handshake.',
];

const idle = 'Beside libevent the bound is out of reach: four fifths of what it keeps is less than OpenSSL keeps by itself ' +
  '(the bare loop above).';

const proxyHandshake = 'The bound is out of reach: four fifths of the best is what the bare loop spends on the ' +
  'handshake alone (Handshakes, above), and a proxy connects to its backend, too, and closes two sockets. nginx does with three waits ' +
  'in epoll_wait what takes ours five (`perf trace -s`): it closes both sides at the client\'s end, ours passes the end on, waits for ' +
  'the backend\'s and answers the client\'s close_notify, so that nothing that is still on its way is lost.';

const proxyIdle = 'The bound is out of reach: four fifths of the best is about what OpenSSL keeps by itself.';

const nodeHandshake = 'The same in C needs what stands above under Handshakes; JavaScript takes 70 us for each connection (net.Socket, ' +
  'Duplex and their events, which programs are promised; `node --cpu-prof`), closing a socket and OpenSSL the rest. The slices are of ' +
  'processes that are a second old and still compile: both sides need a fifth less after some thousand handshakes.';

module.exports = {
  'handshake-1.3-ecdsa': handshakes, idle, 'proxy-handshake': proxyHandshake, 'proxy-idle': proxyIdle,
  'node-handshake': nodeHandshake,
};
