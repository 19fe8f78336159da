'use strict';
// The processes of a benchmark: started where they belong, measured, and all ended at the end.

const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const readline = require('node:readline');

const SERVER = 0; // cores
const CLIENT = 1;

const running = new Set();

const works = (command, ...words) => spawnSync(command, words, { stdio: 'ignore' }).status === 0;

// What this machine lets us do, asked once.
const able = {
  core: os.cpus().length > 1 && works('taskset', '-c', '1', 'true'),
  realTime: works('chrt', '-f', '5', 'true'),
  nice: works('nice', '-n', '-19', 'true'),
  follow: works('setpriv', '--pdeathsig', 'TERM', 'true'), // ends with us, whatever ends us
};

// The words before a command. priority: 'first' (real time, N), 'nice' or none.
function prefix({ core, realTime, nice }) {
  return [
    ...(able.follow ? ['setpriv', '--pdeathsig', 'TERM'] : []),
    ...(able.core && core !== undefined ? ['taskset', '-c', String(core)] : []),
    ...(able.realTime && realTime ? ['chrt', '-f', String(realTime)] : []),
    ...(able.nice && nice ? ['nice', '-n', '-19'] : []),
  ];
}

// How many files a process may have open.
function descriptors() {
  const limits = fs.readFileSync('/proc/self/limits', 'utf8');
  return Number(/^Max open files\s+\d+\s+(\d+)/m.exec(limits)?.[1] ?? 1024);
}

// In a process group of its own: Ctrl-C reaches us only, and we end everybody in order.
function start(words, { env = {}, stdio = ['pipe', 'pipe', 'pipe'], ...where } = {}) {
  const all = [...prefix(where), ...words.map(String)];
  const child = spawn(all[0], all.slice(1), {
    stdio, detached: true, env: { ...process.env, ...env },
  });
  running.add(child);
  child.said = '';
  child.stderr?.on('data', (text) => (child.said = (child.said + text).slice(-2000)));
  child.stdin?.on('error', () => {}); // it ended before its input did
  child.ended = new Promise((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => resolve(signal ?? code));
  }).finally(() => running.delete(child));
  return child;
}

const nameOf = (words) => words[0].split('/').pop();

function complaint(words, child, end) {
  const said = child.said.trim();
  return new Error(`${nameOf(words)} ${words.slice(1).join(' ')} ended with ${end}${said ? `: ${said}` : ''}`);
}

function limited(promise, seconds, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took longer than ${seconds} s`)), seconds * 1000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// Runs a program to its end; answers what it printed.
async function run(words, { seconds = 120, ...options } = {}) {
  const child = start(words, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  child.stdout.on('data', (data) => (text += data));
  try {
    const end = await limited(child.ended, seconds, nameOf(words));
    if (end !== 0) throw complaint(words, child, end);
    return text;
  } finally {
    kill(child);
  }
}

// Starts a program that says in its first line that it is ready.
async function serve(words, { seconds = 60, ...options } = {}) {
  const child = start(words, options);
  const lines = readline.createInterface({ input: child.stdout });
  const first = new Promise((resolve) => lines.once('line', resolve));
  const early = child.ended.then((end) => Promise.reject(complaint(words, child, end)));
  early.catch(() => {}); // of interest until the line came
  try {
    return { child, line: await limited(Promise.race([first, early]), seconds, nameOf(words)) };
  } catch (error) {
    kill(child);
    throw error;
  }
}

function kill(child, signal = 'SIGTERM') {
  if (!running.has(child) || !child.pid) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // it is gone
  }
}

// By the end of its input first, which is what our own programs wait for.
async function stop(child, patience = 3) {
  child.stdin?.end();
  if (!child.endsWithInput) kill(child);
  await limited(child.ended, patience, 'the end').catch(() => kill(child, 'SIGKILL'));
  await limited(child.ended, patience, 'the end').catch(() => {});
}

// `server`: one that is being started. It is stopped at the end of what uses it.
async function withServer(server, use) {
  const started = await server;
  try {
    return await use(started);
  } finally {
    await started.stop();
  }
}

function stopAll() {
  for (const child of running) kill(child, 'SIGTERM');
}

// -- what they cost ------------------------------------------------------------------------------

// A process and all below it.
function tree(pid) {
  const children = fs.readdirSync(`/proc/${pid}/task`).flatMap((task) => {
    try {
      return fs.readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim().split(' ');
    } catch {
      return []; // the thread has ended
    }
  });
  return [pid, ...children.filter(Boolean).flatMap((child) => tree(Number(child)))];
}

function residentKB(pids) {
  const one = (pid) => {
    const status = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+)/m.exec(status)[1]);
  };
  return pids.map(one).reduce((sum, value) => sum + value, 0);
}

// Nanoseconds on a processor so far. Asked of a small program (bench/cpu-time.c): /proc has figures
// as fine only of threads that have not ended.
function cpuTime(kit, pids) {
  const [command, ...words] = [...prefix({ core: CLIENT }), kit.program('cpu-time'), ...pids.map(String)];
  const { status, stdout, stderr } = spawnSync(command, words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`a server is gone: ${stderr.trim()}`);
  return Number(stdout);
}

module.exports = {
  SERVER, CLIENT, able, descriptors, start, run, serve, stop, withServer, stopAll, tree, residentKB, cpuTime,
};
