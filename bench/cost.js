'use strict';
// What a unit of work costs a server: the time of its processes on a processor, by slices.

const { cpuTime, withServer } = require('./processes.js');
const { work } = require('./load.js');
const { takeTurns } = require('./slices.js');

const inUnit = { us: (spent, amount) => spent / amount / 1000, 's/GB': (spent, amount) => spent / amount };

const now = () => Number(process.hrtime.bigint()) / 1e9;

// Seconds of work before a process is measured: V8 compiles what runs often, others fill their caches.
const WARM = { engine: 1, native: 0.3 };

const warmth = (name, seconds) => Math.min(seconds, /^(node|module)/.test(name) ? WARM.engine : WARM.native);

// For further sizes, of which no figure is to be reached, half is enough.
const roundsOf = (row, rounds) => (row.isExtra ? Math.ceil(rounds / 2) : rounds);

// How much work fills a slice.
async function amountFor(kit, server, row, seconds) {
  for (let amount = row.begin; ; amount *= 4) {
    const start = now();
    await work(kit, server, row, amount);
    const taken = now() - start;
    if (taken > seconds / 6) return Math.max(1, Math.round((amount * seconds) / taken));
  }
}

async function slice(kit, server, row, amount) {
  const pids = server.pids();
  const before = cpuTime(kit, pids);
  await work(kit, server, row, amount);
  return inUnit[row.unit](cpuTime(kit, pids) - before, amount);
}

// Answers values[contestant][round]. Each time of a new process: those of one program differ by some
// percent for as long as they live, by where their code and memory happen to lie.
async function measureCost(kit, row, start, { rounds, seconds }, tell) {
  const { contestants } = row;
  const amounts = [];
  for (const name of contestants)
    amounts.push(await withServer(start(name), (server) => amountFor(kit, server, row, seconds)));
  const one = (i) => withServer(start(contestants[i]), async (server) => {
    await work(kit, server, row, Math.max(1, (amounts[i] * warmth(contestants[i], seconds)) / seconds));
    return slice(kit, server, row, amounts[i]);
  });
  return takeTurns(contestants.length, roundsOf(row, rounds), one, tell);
}

const START = 0.06; // seconds

const costSeconds = (row, { rounds, seconds }) =>
  row.contestants.map((name) => roundsOf(row, rounds) * (START + warmth(name, seconds) + seconds) + START + seconds * 1.5)
    .reduce((sum, one) => sum + one, 0);

module.exports = { measureCost, costSeconds, WARM };
