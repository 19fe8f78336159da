'use strict';
// `./run bench node`: our module beside Node's built-in tls, in the same node, with the same
// script, key, suite and group.
//
// What is counted is the CPU time of the server process (all threads, from the scheduler) for one
// unit of work; slices of both alternate (A B B A ...), and the figure is the median of the pairs'
// ratios with a bootstrap interval of 95 %. `self` holds the built-in against itself: that is the
// resolution of the machine at the moment.

const { spawn, spawnSync, execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');

const here = __dirname;
const register = path.join(here, '../node/register.js');

const MB = 1 << 20;

// `work`: units in one slice, chosen so that a slice takes about a second on either side.
const ROWS = {
  handshake: { title: 'full handshake', unit: 'us', bound: 0.65, server: 'echo', work: 1200 },
  echo16k: { title: 'echo, 16 KiB chunks', unit: 's/GB', bound: 0.75, server: 'echo', work: 600 * MB, chunk: 16384 },
  echo512: { title: 'echo, 512 B chunks', unit: 's/GB', bound: 0.6, server: 'echo', work: 48 * MB, chunk: 512 },
  pipe: { title: 's.pipe(s), 16 KiB chunks', unit: 's/GB', bound: 0.65, server: 'pipe', work: 600 * MB, chunk: 16384 },
  idle: { title: 'idle connection', unit: 'KB', bound: 0.5, server: 'echo', from: 500, to: 3000 },
};

const usage = `usage: ./run bench node [${Object.keys(ROWS).join('|')}]... [--quick] [--self]`;

function options(words) {
  const chosen = words.filter((word) => word in ROWS);
  const unknown = words.find((word) => !(word in ROWS) && word !== '--quick' && word !== '--self');
  if (unknown) throw new Error(`bench node does not know ${unknown}\n${usage}`);
  return {
    rows: chosen.length ? chosen : Object.keys(ROWS),
    pairs: words.includes('--quick') ? 5 : 13,
    self: words.includes('--self'),
  };
}

// -- key, load maker -----------------------------------------------------------------------------

function prepare() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'securepair-bench-'));
  const at = (name) => path.join(folder, name);
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
    '-subj', '/CN=localhost', '-keyout', at('key.pem'), '-out', at('cert.pem'), '-days', '2'], { stdio: 'ignore' });
  compile('load.c', at('load'), '-lssl', '-lcrypto');
  compile('cubic.c', at('cubic.so'), '-D_GNU_SOURCE', '-shared', '-fPIC');
  return { folder, key: at('key.pem'), cert: at('cert.pem'), load: at('load'), preload: at('cubic.so') };
}

function compile(source, to, ...words) {
  const cc = process.env.CC ?? 'cc';
  const { status } = spawnSync(cc, ['-std=gnu11', '-O2', path.join(here, source), '-o', to, ...words], { stdio: 'inherit' });
  if (status !== 0) throw new Error(`bench/${source} could not be compiled by ${cc}`);
}

// -- processes -----------------------------------------------------------------------------------

const running = new Set();

function keep(child) {
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

const pinned = (core, command, words) => {
  const many = os.cpus().length > 1;
  return many ? ['taskset', ['-c', String(core), command, ...words]] : [command, words];
};

const firstLine = (stream) =>
  new Promise((resolve, reject) => {
    const lines = readline.createInterface({ input: stream });
    lines.once('line', resolve);
    lines.once('close', () => reject(new Error('a process of the benchmark ended early')));
  });

async function startServer(kit, side, what) {
  const preload = side === 'ours' ? ['-r', register] : [];
  const [command, words] = pinned(0, process.execPath,
    [...preload, path.join(here, 'node-server.js'), kit.key, kit.cert, what]);
  const env = { ...process.env, LD_PRELOAD: kit.preload };
  const child = keep(spawn(command, words, { stdio: ['pipe', 'pipe', 'inherit'], env }));
  return { child, pid: child.pid, port: await firstLine(child.stdout) };
}

const stop = (child) =>
  new Promise((resolve) => {
    child.once('exit', resolve);
    child.stdin.end();
  });

function runLoad(kit, words) {
  const [command, all] = pinned(1, kit.load, words.map(String));
  return new Promise((resolve, reject) => {
    const child = spawn(command, all, { stdio: ['ignore', 'ignore', 'inherit'] });
    child.once('exit', (code) => (code ? reject(new Error('the load maker failed')) : resolve()));
  });
}

// Nanoseconds on a processor, of all threads (proc(5), schedstat).
function cpuTime(pid) {
  const tasks = `/proc/${pid}/task`;
  let sum = 0;
  for (const task of fs.readdirSync(tasks))
    sum += Number(fs.readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[0]);
  return sum;
}

const residentKB = (pid) =>
  Number(/^VmRSS:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);

// -- one slice -----------------------------------------------------------------------------------

function loadWords(row, port, work) {
  return row.chunk ? ['echo', port, work, row.chunk] : ['handshake', port, work];
}

async function slice(kit, row, server, work = row.work) {
  const before = cpuTime(server.pid);
  await runLoad(kit, loadWords(row, server.port, work));
  const spent = cpuTime(server.pid) - before;
  return row.chunk ? spent / work : spent / work / 1000;
}

async function holdIdle(kit, port, count) {
  const [command, words] = pinned(1, kit.load, ['idle', String(port), String(count)]);
  const child = keep(spawn(command, words, { stdio: ['pipe', 'pipe', 'inherit'] }));
  await firstLine(child.stdout);
  return child;
}

// The slope between two numbers of connections, after record buffers had time to be let go.
async function idleSlope(kit, row, side) {
  const server = await startServer(kit, side, row.server);
  const settle = () => new Promise((resolve) => setTimeout(resolve, 3000));
  const first = await holdIdle(kit, server.port, row.from);
  await settle();
  const low = residentKB(server.pid);
  const second = await holdIdle(kit, server.port, row.to - row.from);
  await settle();
  const high = residentKB(server.pid);
  await Promise.all([stop(first), stop(second)]);
  await stop(server.child);
  return (high - low) / (row.to - row.from);
}

// -- figures -------------------------------------------------------------------------------------

const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

function interval(values, rounds = 2000) {
  const medians = Array.from({ length: rounds }, () =>
    median(values.map(() => values[Math.floor(Math.random() * values.length)])));
  medians.sort((a, b) => a - b);
  return [medians[Math.floor(rounds * 0.025)], medians[Math.floor(rounds * 0.975)]];
}

async function pairsOf(measure, pairs, sides, tell) {
  const found = { [sides[0]]: [], [sides[1]]: [], ratios: [] };
  for (let i = 0; i < pairs; i++) {
    const [a, b] = [0, 1].map((j) => (i % 2 ? 1 - j : j));
    const value = [];
    value[a] = await measure(a);
    value[b] = await measure(b);
    found.ratios.push(value[0] / value[1]);
    found.values = [...(found.values ?? []), value];
    tell(i + 1, pairs);
  }
  return found;
}

async function measureRow(kit, row, { pairs, self }, tell) {
  const sides = self ? ['node', 'node'] : ['ours', 'node'];
  if (row.to) return pairsOf((i) => idleSlope(kit, row, sides[i]), Math.min(pairs, 3), ['a', 'b'], tell);
  const servers = [];
  for (const side of sides) servers.push(await startServer(kit, side, row.server));
  for (const server of servers) await slice(kit, row, server, row.work / 4); // for the compiler to warm up
  const found = await pairsOf((i) => slice(kit, row, servers[i]), pairs, ['a', 'b'], tell);
  for (const server of servers) await stop(server.child);
  return found;
}

const number = (value) => (value >= 100 ? value.toFixed(0) : value.toFixed(2));

function report(name, row, found) {
  const [ours, theirs] = [0, 1].map((i) => median(found.values.map((value) => value[i])));
  const ratio = median(found.ratios);
  const [low, high] = interval(found.ratios);
  const line = [row.title.padEnd(26), `${number(ours)} ${row.unit}`.padStart(12),
    `${number(theirs)} ${row.unit}`.padStart(12), ratio.toFixed(3).padStart(7),
    `[${low.toFixed(3)}, ${high.toFixed(3)}]`.padStart(16), row.bound.toFixed(2).padStart(6)].join('  ');
  return { line, result: { name, unit: row.unit, ours, theirs, ratio, low, high, bound: row.bound } };
}

async function main() {
  const chosen = options(process.argv.slice(2));
  const kit = prepare();
  process.on('exit', () => running.forEach((child) => child.kill()));
  const results = [];
  try {
    console.log(`node ${process.version}, OpenSSL ${process.versions.openssl}, ${os.cpus()[0].model.trim()}`);
    console.log(['', chosen.self ? 'built-in' : 'securepair', 'built-in', 'ratio', '95 %', 'at most']
      .map((text, i) => (i ? text.padStart([0, 12, 12, 7, 16, 6][i]) : text.padEnd(26))).join('  '));
    for (const name of chosen.rows) {
      const tell = (done, all) => process.stderr.isTTY && process.stderr.write(`\r${name} ${done}/${all} `);
      const { line, result } = report(name, ROWS[name], await measureRow(kit, ROWS[name], chosen, tell));
      if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
      console.log(line);
      results.push(result);
    }
  } finally {
    fs.rmSync(kit.folder, { recursive: true });
  }
  const folder = path.join(here, 'results');
  fs.mkdirSync(folder, { recursive: true });
  const file = path.join(folder, `node-${new Date().toISOString().replace(/[:.]/g, '-')}.json`);
  fs.writeFileSync(file, `${JSON.stringify({ node: process.version, self: chosen.self, results }, null, 2)}\n`);
  console.log(`written: ${path.relative(process.cwd(), file)}`);
}

main().catch((error) => {
  console.error(`bench: ${error.message}`);
  process.exit(1);
});
