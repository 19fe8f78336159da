'use strict';
// The rows of the benchmark: what is measured, for whom, and the figures to reach.
//
// A row's first contestant is the one that is judged. A bound says that its figure is to be at most
// `most` times that of `against`: another contestant, 'best' (the cheapest of all others), or a
// `floor` in the row's own unit.

const MB = 1 << 20;
const GROUPS = {
  resolution: 'The same program against itself',
  handshakes: 'Handshakes',
  echo: 'Echo over one connection',
  bulk: 'Bulk in one direction',
  idle: 'Idle connections',
  latency: 'Latency of an established connection while handshakes arrive',
  proxy: 'Proxies: TLS in front, plain behind',
  node: "The JavaScript module beside Node's tls",
  counts: 'Counts, which do not drift',
};

// Of OpenSSL with X25519 and record buffers released 14.1 KB; a uv_tcp_t has 248 bytes; ours 750.
const IDLE_FLOOR = 14.1 + (248 + 750) / 1024;

const most = (value, against, title) => ({ most: value, against, title });

const library = (row, bare, libevent) => ({
  kind: 'cost',
  contestants: ['ours', 'bare', 'libevent', 'node'],
  bounds: [most(bare, 'bare'), most(libevent, 'libevent')],
  ...row,
});

const handshake = (name, load, title, key, version) => library({
  name, group: 'handshakes', title, unit: 'us', load: [load], begin: 100,
  what: { key, mode: 'echo', version },
}, 1.0, 0.95);

const bytes = (name, group, title, mode, load, bare, begin) => library({
  name, group, title, unit: 's/GB', load, begin, what: { key: 'ecdsa', mode, version: '1.3' },
}, bare, 0.8);

// Sizes without a figure to reach.
function bulkOf(size, name, title, mode, load) {
  const row = bytes(name, 'bulk', title, mode, load, 1, (size > 512 ? 32 : 4) * MB);
  return { ...row, isExtra: true, contestants: ['ours', 'bare', 'libevent'], bounds: [], what: { ...row.what, writes: size } };
}

// The same program twice.
const again = (row, name, one = 'ours') => ({
  ...row, name: `resolution-${name}`, of: row.group, group: 'resolution',
  title: `resolution: ${row.title}`, contestants: [one, one === 'ours' ? 'again' : `${one}-again`], bounds: [],
});

const ofNode = (row, name, bound, { title = row.title, ...more } = {}) => ({
  ...row, ...more, title: `in Node: ${title}`, name, group: 'node', contestants: ['module', 'node'], bounds: [most(bound, 'node')],
});

const handshakes = [
  handshake('handshake-1.3-ecdsa', 'handshake', 'full handshake, TLS 1.3, ECDSA P-256', 'ecdsa', '1.3'),
  handshake('handshake-1.3-rsa', 'handshake', 'full handshake, TLS 1.3, RSA 2048', 'rsa', '1.3'),
  handshake('handshake-1.2-ecdsa', 'handshake', 'full handshake, TLS 1.2, ECDSA P-256', 'ecdsa', '1.2'),
  handshake('handshake-1.2-rsa', 'handshake', 'full handshake, TLS 1.2, RSA 2048', 'rsa', '1.2'),
  handshake('resume-1.3', 'resume', 'resumed handshake, TLS 1.3', 'ecdsa', '1.3'),
  handshake('resume-1.2', 'resume', 'resumed handshake, TLS 1.2', 'ecdsa', '1.2'),
];

const echo = [
  bytes('echo-512', 'echo', 'echo, chunks of 512 bytes', 'echo', ['echo', 512], 0.35, 2 * MB),
  bytes('echo-16k', 'echo', 'echo, chunks of 16 KiB', 'echo', ['echo', 16384], 0.9, 16 * MB),
  bytes('echo-64k', 'echo', 'echo, chunks of 64 KiB', 'echo', ['echo', 65536], 0.9, 16 * MB),
];

const bulk = [
  bytes('receive-16k', 'bulk', 'the server receives, chunks of 16 KiB', 'sink', ['send', 16384], 0.95, 32 * MB),
  bytes('send-16k', 'bulk', 'the server sends, chunks of 16 KiB', 'source', ['receive'], 0.95, 32 * MB),
  ...[[512, '512 bytes', '512'], [65536, '64 KiB', '64k']].flatMap(([size, title, name]) => [
    bulkOf(size, `receive-${name}`, `the server receives, chunks of ${title}`, 'sink', ['send', size]),
    bulkOf(size, `send-${name}`, `the server sends, chunks of ${title}`, 'source', ['receive']),
  ]),
];

const idle = {
  name: 'idle', group: 'idle', kind: 'idle', title: 'idle connection, TLS 1.3', unit: 'KB',
  contestants: ['ours', 'bare', 'libevent', 'node'], what: { key: 'ecdsa', mode: 'echo', version: '1.3' },
  bounds: [
    { ...most(1.0, 'floor', "OpenSSL's 14.1 KB, a uv_tcp_t and 750 bytes"), floor: IDLE_FLOOR },
    most(0.8, 'libevent'),
  ],
};

const latency = {
  name: 'latency', group: 'latency', kind: 'latency', unit: 'us',
  title: 'echo of a small record while 50 or 200 handshakes at once arrive ten times a second',
  crowds: [0, 50, 200], contestants: ['ours', 'workers', 'bare'], what: { key: 'ecdsa', mode: 'echo', version: '1.3' },
  bounds: [most(3.0, 'quiet', 'its own p99 on a quiet server')],
};

const ofProxies = (row, name, title, more) => ({
  ...row, ...more, name, title, group: 'proxy', contestants: ['proxy', 'nginx', 'haproxy', 'hitch', 'stunnel'],
  bounds: [most(0.8, 'best')],
});

const proxy = [
  ofProxies(handshakes[0], 'proxy-handshake', 'proxy: full handshake, TLS 1.3, ECDSA P-256'),
  ofProxies(echo[1], 'proxy-echo', 'proxy: echo, chunks of 16 KiB'),
  ofProxies(idle, 'proxy-idle', 'proxy: idle connection'),
];

const node = [
  ofNode(handshakes[0], 'node-handshake', 0.65),
  ofNode(echo[0], 'node-echo-512', 0.6),
  ofNode(echo[1], 'node-echo-16k', 0.75),
  ofNode(echo[1], 'node-pipe', 0.65, {
    title: 'socket.pipe(socket), chunks of 16 KiB', what: { ...echo[1].what, mode: 'pipe' },
  }),
  ofNode(idle, 'node-idle', 0.5),
];

const counts = {
  name: 'counts', group: 'counts', kind: 'counts', title: 'counts for a unit of work', contestants: ['ours', 'bare'],
  what: { key: 'ecdsa', mode: 'echo', version: '1.3' }, bounds: [],
};

const oneCrowd = { title: 'p99 of an echo while 200 handshakes at once arrive', crowds: [200], unit: 'us at p99' };

const resolution = [
  again(handshakes[0], 'handshake'),
  again(echo[1], 'echo'),
  again(idle, 'idle'),
  again({ ...latency, ...oneCrowd }, 'latency'),
  again(proxy[0], 'proxy', 'proxy'),
  again(node[0], 'node', 'module'),
];

const ROWS = [...resolution, ...handshakes, ...echo, ...bulk, idle, latency, ...proxy, ...node, counts];

// What may be left out of a row by naming those that shall be in it.
const PEERS = ['bare', 'libevent', 'nginx', 'haproxy', 'hitch', 'stunnel'];

// The rows that the words ask for, each with the contestants that they leave in it. Without a word all.
function choose(words) {
  const peers = words.filter((word) => PEERS.includes(word));
  const names = words.filter((word) => !PEERS.includes(word) && word !== 'all');
  const unknown = names.find((name) => !(name in GROUPS) && !ROWS.some((row) => row.name === name));
  if (unknown !== undefined) throw new Error(`bench does not know "${unknown}"`);
  const isAsked = ({ name, group, contestants }) =>
    names.length ? names.includes(name) || names.includes(group)
      : !peers.length || contestants.some((one) => peers.includes(one));
  const kept = ROWS.filter((row) => isAsked(row) || isResolutionOf(row, ROWS.filter(isAsked)));
  return peers.length ? kept.map((row) => onlyWith(row, peers)) : kept;
}

// Before what it is the resolution of.
function isResolutionOf({ of, unit }, rows) {
  return rows.some((row) => row.group === 'latency' ? of === 'latency'
    : (row.group === of || (row.group === 'bulk' && of === 'echo')) && row.unit === unit);
}

const isOfProxies = (row) => row.group === 'proxy' || row.of === 'proxy';

function onlyWith(row, peers) {
  const [first, ...others] = row.contestants;
  const left = row.group === 'resolution' ? others : others.filter((one) => peers.includes(one) || one === 'workers');
  return {
    ...row, contestants: [first, ...left],
    bounds: row.bounds.filter(({ against }) => !PEERS.includes(against) || left.includes(against)),
  };
}

module.exports = { ROWS, GROUPS, PEERS, choose, isOfProxies };
