'use strict';
// How long an established connection waits: an open-loop probe (bench/latency.c) on a quiet server,
// and while handshakes come in bursts, ten times a second.

const { CLIENT, run, withServer } = require('./processes.js');
const { median, compare } = require('./statistics.js');
const { takeTurns } = require('./slices.js');

const RATE = 1000; // records a second
const WARM = 0.2; // seconds of storm before the probe
const GREETINGS = 500; // handshakes before all, for the server to be warm

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

// Answers for each contestant and crowd the figures of all rounds. In each a new process, warm, for all crowds.
async function measureLatency(kit, row, start, { latencyRounds: rounds, latencySeconds: seconds }, tell) {
  const { contestants } = row;
  const one = (i) => withServer(start(contestants[i]), async (server) => {
    const found = [];
    await run([kit.program('load'), 'handshake', server.port, GREETINGS], { core: CLIENT });
    for (const crowd of row.crowds) found.push(await slice(kit, server, crowd, seconds));
    return found;
  });
  const values = await takeTurns(contestants.length, rounds, one, tell);
  return contestants.flatMap((name, i) => row.crowds.map((crowd, c) => {
    const slices = values[i].map((round) => round[c]);
    const of = (f) => slices.map((figures) => figures[f]);
    return { name, crowd, ...Object.fromEntries(FIGURES.map((figure, f) => [figure, median(of(f))])), p99s: of(1) };
  }));
}

// p99 in the storm beside p99 on the same server when it is quiet.
function stormRatio(series, name, crowd) {
  const of = (n) => series.find((one) => one.name === name && one.crowd === n).p99s;
  return compare(of(crowd), of(0));
}

const latencySeconds = ({ contestants, crowds }, { latencyRounds, latencySeconds: seconds }) =>
  contestants.length * latencyRounds * (0.5 + crowds.length * (seconds + 0.5));

module.exports = { measureLatency, stormRatio, latencySeconds };
