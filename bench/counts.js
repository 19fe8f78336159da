'use strict';
// What does not drift: allocations, locks, system calls and instructions for a unit of work, and the
// bytes that a connection holds, for us and for the bare loop. Two amounts of work are done, and the
// difference is divided, so that what is done once does not count.

const fs = require('node:fs');
const path = require('node:path');

const { CLIENT, run, start, works } = require('./processes.js');
const { hold, work } = require('./load.js');
const { startServer } = require('./servers.js');
const { number } = require('./table.js');

const ECHOES = 200; // a second

const handshakes = (title, load, version) => ({
  title, amounts: [50, 150], few: [4, 12], what: { key: 'ecdsa', mode: 'echo', version },
  run: (kit, server, amount, one) => work(kit, server, { load: [load], what: one.what }, amount),
});

const WORKS = [
  handshakes('full handshake, TLS 1.3', 'handshake', '1.3'),
  handshakes('resumed handshake, TLS 1.3', 'resume', '1.3'),
  handshakes('full handshake, TLS 1.2', 'handshake', '1.2'),
  handshakes('resumed handshake, TLS 1.2', 'resume', '1.2'),
  {
    title: 'echo of 32 bytes', amounts: [100, 300], few: [100, 300], what: { key: 'ecdsa', mode: 'echo', version: '1.3' },
    run: (kit, server, amount) =>
      run([kit.program('latency'), server.port, ECHOES, amount / ECHOES], { core: CLIENT }),
  },
];

const FIGURES = ['allocations', 'locks', 'system calls', 'instructions'];

async function withServer(kit, name, what, use) {
  const server = await startServer(kit, name, what);
  try {
    return await use(server);
  } finally {
    await server.stop();
  }
}

// Calls measure(amount) for both amounts; what one unit more takes.
async function forOne([few, many], measure) {
  const less = await measure(few);
  const more = await measure(many);
  return Object.fromEntries(Object.keys(less).map((name) => [name, (more[name] - less[name]) / (many - few)]));
}

// -- allocations, bytes and locks, by what is preloaded ------------------------------------------

function countedServer(kit, what) {
  const file = path.join(kit.folder, 'counts');
  fs.writeFileSync(file, Buffer.alloc(24));
  const read = () => {
    const bytes = fs.readFileSync(file);
    const [allocations, held, locks] = [0, 8, 16].map((at) => Number(bytes.readBigInt64LE(at)));
    return { allocations, held, locks };
  };
  return { read, what: { ...what, env: { LD_PRELOAD: `${kit.preload}:${kit.program('counting.so')}`, BENCH_COUNTS: file } } };
}

const growth = (before, after) =>
  Object.fromEntries(Object.keys(before).map((name) => [name, after[name] - before[name]]));

function countAllocations(kit, name, one) {
  const { read, what } = countedServer(kit, one.what);
  return withServer(kit, name, what, async (server) => {
    await one.run(kit, server, one.amounts[0], one); // what is made once
    const { allocations, locks } = await forOne(one.amounts, async (amount) => {
      const before = read();
      await one.run(kit, server, amount, one);
      return growth(before, read());
    });
    return { allocations, locks };
  });
}

// Held by a connection that is idle after an echo.
function countBytes(kit, name) {
  const { read, what } = countedServer(kit, WORKS[0].what);
  return withServer(kit, name, what, (server) => forOne([50, 250], async (amount) => {
    const before = read();
    const held = await hold(kit, server, amount);
    await new Promise((resolve) => setTimeout(resolve, 1500)); // buffers are let go of
    const { held: bytes } = growth(before, read());
    await held.release();
    return { bytes };
  }));
}

// -- system calls and instructions, by other people's tools --------------------------------------

async function countCalls(kit, name, one) {
  if (!works('strace', '-V')) return {};
  return withServer(kit, name, one.what, async (server) => {
    await one.run(kit, server, one.amounts[0], one);
    return forOne(one.amounts, async (amount) => {
      const file = path.join(kit.folder, 'strace');
      const tracer = start(['strace', '-f', '-c', '-o', file, ...server.pids().flatMap((pid) => ['-p', pid])], { core: CLIENT });
      await attached(tracer);
      await one.run(kit, server, amount, one);
      process.kill(tracer.pid, 'SIGINT');
      await tracer.ended;
      const total = /^\s*100\.00\s+[\d.]+\s+(?:\d+\s+)?(\d+)(?:\s+\d+)?\s+total/m.exec(fs.readFileSync(file, 'utf8'));
      if (!total) throw new Error('strace did not count');
      return { 'system calls': Number(total[1]) };
    });
  });
}

const attached = (tracer) =>
  Promise.race([
    new Promise((resolve) => tracer.stderr.on('data', (text) => /attached/.test(text) && resolve())),
    tracer.ended.then((end) => Promise.reject(new Error(`strace ended with ${end}: ${tracer.said.trim()}`))),
  ]);

async function countInstructions(kit, name, one) {
  if (!works('valgrind', '--version')) return {};
  return forOne(one.few, async (amount) => {
    const file = path.join(kit.folder, 'callgrind');
    const wrap = ['valgrind', '-q', '--tool=callgrind', `--callgrind-out-file=${file}`];
    await withServer(kit, name, { ...one.what, wrap, patience: 60 }, (server) => one.run(kit, server, amount, one));
    return { instructions: Number(/^(?:totals|summary): (\d+)/m.exec(fs.readFileSync(file, 'utf8'))[1]) };
  });
}

// -- the table -----------------------------------------------------------------------------------

// A figure that a tool could not give is left out, and told.
async function attempt(notes, title, measure) {
  try {
    return await measure();
  } catch (error) {
    notes.push(`${title}: ${error.message.split('\n')[0]}`);
    return {};
  }
}

async function countOne(kit, name, one, notes) {
  const found = {};
  for (const count of [countAllocations, countCalls, countInstructions])
    Object.assign(found, await attempt(notes, `${one.title}, ${name}`, () => count(kit, name, one)));
  return found;
}

async function measureCounts(kit, row, tell) {
  const counts = [];
  const notes = [];
  const all = row.contestants.length * (WORKS.length + 1);
  for (const one of WORKS) {
    for (const name of row.contestants) {
      tell(counts.length, all, name);
      counts.push({ title: one.title, name, ...(await countOne(kit, name, one, notes)) });
    }
  }
  for (const name of row.contestants) {
    tell(counts.length, all, name);
    counts.push({ title: 'idle connection', name, ...(await attempt(notes, `bytes, ${name}`, () => countBytes(kit, name))) });
  }
  return { counts, notes };
}

const COLUMNS = [...FIGURES, 'bytes'];
const whole = (value) => (value === undefined ? '' : value >= 1000 ? Math.round(value).toLocaleString('en') : number(value));

// Lines of cells, for a terminal or a document.
function countsTable({ counts }, titleOf) {
  return [['', '', ...COLUMNS], ...counts.map((one) =>
    [one.title, titleOf(one.name), ...COLUMNS.map((name) => whole(one[name]))])];
}

const countsSeconds = (row) => row.contestants.length * (WORKS.length * 12 + 8);

module.exports = { measureCounts, countsTable, countsSeconds };
