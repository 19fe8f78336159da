'use strict';
// On what and with what a run was made.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');

const { able } = require('./processes.js');

// The first line of what a program says of itself, with a number in it.
function said(...words) {
  const { status, stdout, stderr } = spawnSync(words[0], words.slice(1), { encoding: 'utf8' });
  const lines = `${stdout}${stderr}`.trim().split('\n');
  return status === 0 ? (lines.find((line) => /\d/.test(line)) ?? lines[0]) : 'unknown';
}

const read = (file) => {
  try {
    return fs.readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
};

const virtual = () => (/^flags.*\bhypervisor\b/m.test(read('/proc/cpuinfo')) ? ', a virtual machine' : '');

const distribution = () => /^PRETTY_NAME="?([^"\n]*)/m.exec(read('/etc/os-release'))?.[1] ?? 'unknown';

// Time of all cores by /proc/stat, in ticks: all, not idle, and what a hypervisor took.
function processorTime() {
  const [user, nice, system, idle, wait, irq, soft, steal = 0] =
    read('/proc/stat').split('\n')[0].trim().split(/\s+/).slice(1).map(Number);
  return { all: user + nice + system + idle + wait + irq + soft + steal, free: idle + wait, steal };
}

// How many cores are at work during a second in which we do nothing.
function coresAtWork() {
  const before = processorTime();
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
  const after = processorTime();
  return os.cpus().length * (1 - (after.free - before.free) / Math.max(1, after.all - before.all));
}

const isBusy = ({ loadBefore }) => loadBefore > 0.2;

function describeMachine(root) {
  return {
    processor: `${os.cpus()[0].model.trim()}, ${os.cpus().length} cores${virtual()}`,
    memory: `${(os.totalmem() / 2 ** 30).toFixed(1)} GiB`,
    system: `${distribution()}, Linux ${os.release()}`,
    compiler: said(process.env.CC ?? 'cc', '--version'),
    libuv: said('pkg-config', '--modversion', 'libuv'),
    openssl: said('openssl', 'version'),
    node: process.version,
    commit: said('git', '-C', root, 'describe', '--always', '--dirty', '--tags'),
    pinned: able.core, realTime: able.realTime,
    loadBefore: coresAtWork(),
  };
}

// What the machine gave to others while we measured: to a hypervisor's other guests.
function watchMachine() {
  const before = processorTime();
  return () => {
    const after = processorTime();
    return { stolen: (after.steal - before.steal) / Math.max(1, after.all - before.all) };
  };
}

module.exports = { said, describeMachine, watchMachine, isBusy };
