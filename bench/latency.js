'use strict';
// How long an established connection waits: an open-loop probe (bench/latency.c) on a quiet server,
// and while handshakes come in bursts, ten times a second.

const { CLIENT, run, withServer } = require('./processes.js');
const { median, compare } = require('./statistics.js');
const { takeTurns } = require('./slices.js');

const CROWDS = [0, 50, 200]; // handshakes at once
const RATE = 1000; // records a second
const WARM = 0.2; // seconds of storm before the probe

const FIGURES = ['p50', 'p99', 'p99.9', 'longest', 'handshakes'];

async function probe(kit, server, seconds) {
  const words = [kit.program('latency'), server.port, RATE, seconds];
  const text = await run(words, { core: CLIENT, realTime: 10, seconds: seconds + 60 });
  return text.trim().split(' ').map(Number);
}

// The probe's figures, and how many handshakes a second there were meanwhile.
async function slice(kit, server, crowd, seconds) {
  if (!crowd) return [...(await probe(kit, server, seconds)), 0];
  const times = Math.ceil(seconds * 10) + 3;
  const storm = run([kit.program('load'), 'storm', server.port, crowd, times], { core: CLIENT, realTime: 5 });
  storm.catch(() => {}); // awaited below
  await new Promise((resolve) => setTimeout(resolve, WARM * 1000));
  const found = await probe(kit, server, seconds);
  const handshakes = Number(/^(\d+) handshakes/.exec(await storm)[1]);
  return [...found, (handshakes * 10) / times];
}

// Answers for each contestant and crowd the figures of all rounds, each time of a new process.
async function measureLatency(kit, row, start, { latencyRounds: rounds, latencySeconds: seconds }, tell) {
  const cases = row.contestants.flatMap((name, i) => CROWDS.map((crowd) => ({ name, i, crowd })));
  const one = ({ name, crowd }) => withServer(start(name), (server) => slice(kit, server, crowd, seconds));
  const values = await takeTurns(cases.length, rounds, (k) => one(cases[k]), (done, all, k) => tell(done, all, cases[k].i));
  return cases.map(({ i, crowd }, k) => ({
    name: row.contestants[i], crowd,
    ...Object.fromEntries(FIGURES.map((figure, f) => [figure, median(values[k].map((one) => one[f]))])),
    p99s: values[k].map((one) => one[1]),
  }));
}

// p99 in the storm beside p99 on the same server when it is quiet.
function stormRatio(series, name, crowd) {
  const of = (n) => series.find((one) => one.name === name && one.crowd === n).p99s;
  return compare(of(crowd), of(0));
}

const latencySeconds = (row, { latencyRounds, latencySeconds: seconds }) =>
  row.contestants.length * CROWDS.length * latencyRounds * (seconds + 0.5);

module.exports = { measureLatency, stormRatio, latencySeconds, CROWDS };
