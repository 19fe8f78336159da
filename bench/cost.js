'use strict';
// What a unit of work costs a server: the time of its processes on a processor, by slices.

const { cpuTime } = require('./processes.js');
const { work } = require('./load.js');
const { takeTurns } = require('./slices.js');

const inUnit = { us: (spent, amount) => spent / amount / 1000, 's/GB': (spent, amount) => spent / amount };

const now = () => Number(process.hrtime.bigint()) / 1e9;

// How much work fills a slice; on the way to it the server gets warm.
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

// Answers values[contestant][round].
async function measureCost(kit, row, servers, { rounds, seconds }, tell) {
  const amounts = [];
  for (const server of servers) amounts.push(await amountFor(kit, server, row, seconds));
  return takeTurns(servers.length, rounds, (i) => slice(kit, servers[i], row, amounts[i]), tell);
}

const costSeconds = (row, { rounds, seconds }) => row.contestants.length * (rounds + 1) * (seconds + 0.1);

module.exports = { measureCost, costSeconds };
