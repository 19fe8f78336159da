'use strict';
// What a person has to say about a row: where the cost sits when a figure is missed, and what was
// tried. docs/performance.md has it below the row's group.

const handshakes = 'Where a handshake costs more than in the bare loop: not in system calls, of which there are as many ' +
  'or fewer, and hardly in instructions, but in what these find in the caches. The library\'s own ten thousand run once a ' +
  'handshake, each function cold, and push out some of OpenSSL\'s: a second-level cache of 512 KB has a quarter more ' +
  'lines to fetch (`./run bench counts`, "lines of memory"). libuv adds an `ioctl` and an `EPOLL_CTL_DEL` for each ' +
  'connection. Kept of what was tried: TCP_NODELAY inherited from the listener, no `shutdown` after both ends, the last ' +
  'flight together with the answer, one accept a turn, a digest that is fetched once. Not kept: link-time optimisation ' +
  '(a hundredth or two; but a static library with it ties its users to one compiler), `-fno-plt`, no timers at all, a ' +
  'read right after the handshake or right after accept, TCP_DEFER_ACCEPT (it helps the bare loop as much), failures ' +
  'marked as cold. OpenSSL 3.0 itself walks its table of names eight times a handshake and asks getpid six times: nothing of ' +
  'ours can spare it that. Beside libevent an RSA signature, the same in both, is nearly half of a handshake.';

const idle = 'Beside libevent the bound is out of reach: four fifths of what it keeps is less than OpenSSL keeps by itself ' +
  '(the bare loop above).';

const proxyHandshake = 'The bound is out of reach: four fifths of the best is about what the bare loop spends on the ' +
  'handshake alone (first table), and a proxy connects to its backend, too, and closes two sockets.';

const proxyIdle = 'The bound is out of reach: four fifths of the best is about what OpenSSL keeps by itself.';

const nodeHandshake = 'Of ours more than half is OpenSSL (node --cpu-prof); the rest is what node makes for each connection, ' +
  'net.Socket, Duplex and their events, which programs are promised.';

const nodeEcho = 'Some processes of ours cost twice as much as others, for as long as they live (four started one after the other: ' +
  '1.07, 1.10, 1.43 and 2.16 s for a GB): why is not known yet.';

const latency = 'With workers the threads share the server\'s one core with the probe\'s stream here, and so the longest waits differ ' +
  'from second to second; the median is within the bound.';

const receive = 'The median is within the bound. In the first four rounds ours and the bare loop cost the same (0.51 s), in the other eight ours five sixths of it.';

module.exports = {
  'handshake-1.3-ecdsa': handshakes, idle, 'proxy-handshake': proxyHandshake, 'proxy-idle': proxyIdle,
  'node-handshake': nodeHandshake, 'node-echo-16k': nodeEcho, latency, 'receive-16k': receive,
};
