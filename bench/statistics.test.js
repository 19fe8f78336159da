'use strict';
// node --test bench/: what the figures are computed by.

const assert = require('node:assert/strict');
const test = require('node:test');

const { quantile, median, interval, compare, randomFrom } = require('./statistics.js');
const { order, takeTurns } = require('./slices.js');
const { judgeCost, judgeLatency } = require('./judge.js');
const { ROWS, choose } = require('./rows.js');

test('the median of an odd and an even number of values, in any order', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(median([7]), 7);
});

test('a quantile lies between the two values beside it', () => {
  assert.equal(quantile([10, 20, 30, 40, 50], 0), 10);
  assert.equal(quantile([10, 20, 30, 40, 50], 1), 50);
  assert.equal(quantile([10, 20, 30, 40, 50], 0.25), 20);
  assert.equal(quantile([10, 20], 0.75), 17.5);
});

test('the numbers drawn are spread evenly and the same each time', () => {
  const [one, other] = [randomFrom(7), randomFrom(7)];
  const values = Array.from({ length: 10000 }, one);
  assert.deepEqual(values, Array.from({ length: 10000 }, other));
  assert.ok(values.every((value) => value >= 0 && value < 1));
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  assert.ok(Math.abs(mean - 0.5) < 0.01, `mean ${mean}`);
});

test('the interval holds the true median as often as it says', () => {
  const random = randomFrom(3);
  let held = 0;
  for (let i = 0; i < 300; i++) {
    const values = Array.from({ length: 12 }, () => 1 + (random() + random() + random() - 1.5) / 10);
    const [low, high] = interval(values, { times: 300, random });
    if (low <= 1 && 1 <= high) held++;
  }
  assert.ok(held / 300 > 0.88 && held / 300 <= 1, `${held} of 300`);
});

test('a drift that both sides share does not show in the ratio', () => {
  const drift = Array.from({ length: 12 }, (_, i) => 1 + i / 3);
  const { ratio, low, high } = compare(drift.map((value) => value * 9), drift.map((value) => value * 10));
  for (const value of [ratio, low, high]) assert.ok(Math.abs(value - 0.9) < 1e-12);
});

test('what has no partner is not compared', () => {
  assert.throws(() => compare([1, 2], [1]), /2 values cannot be paired with 1/);
  assert.throws(() => compare([], []), /0 values/);
});

test('two rounds mirror each other, and everybody begins once', () => {
  assert.deepEqual([0, 1, 2, 3].map((round) => order(2, round)), [[0, 1], [1, 0], [1, 0], [0, 1]]);
  assert.deepEqual(order(3, 0), [0, 1, 2]);
  assert.deepEqual(order(3, 1), [2, 1, 0]);
  const firsts = [0, 2, 4].map((round) => order(3, round)[0]);
  assert.deepEqual(firsts, [0, 1, 2]);
});

test('turns come back by contestant and round', async () => {
  const told = [];
  const values = await takeTurns(3, 4, async (i) => 100 + i, (done, all) => told.push([done, all]));
  assert.deepEqual(values, [0, 1, 2].map((i) => [100 + i, 100 + i, 100 + i, 100 + i]));
  assert.deepEqual([told.length, told[0], told[11]], [12, [0, 12], [11, 12]]);
});

const contestant = (name, ...values) => ({ name, title: name, values });

test('a bound is kept when the whole interval is within it', () => {
  const row = { contestants: ['ours', 'bare'], bounds: [{ most: 1, against: 'bare' }] };
  const within = judgeCost(row, [contestant('ours', 9, 9.1, 9), contestant('bare', 10, 10, 10)]);
  assert.equal(within.bounds[0].kept, true);
  const across = judgeCost(row, [contestant('ours', 9, 9, 11), contestant('bare', 10, 10, 10)]);
  assert.equal(across.bounds[0].ratio, 0.9);
  assert.equal(across.bounds[0].kept, false);
});

test('the best of others is the cheapest, a floor a number, and who is missing has no bound', () => {
  const bounds = [{ most: 0.8, against: 'best' }, { most: 1, against: 'floor', floor: 20, title: 'a floor' },
    { most: 1, against: 'gone' }];
  const found = judgeCost({ contestants: ['ours'], bounds },
    [contestant('ours', 12, 12), contestant('one', 30, 30), contestant('two', 20, 20)]).bounds;
  assert.deepEqual(found.map(({ against, ratio, kept }) => [against, ratio, kept]),
    [['two', 0.6, true], ['floor', 0.6, true]]);
});

test('a storm is held against the same server when it was quiet', () => {
  const one = (name, crowd, ...p99s) => ({ name, crowd, p99s });
  const series = [one('ours', 0, 100, 200), one('ours', 200, 250, 500), one('bare', 0, 100, 100), one('bare', 200, 9000, 9000)];
  const { ratios, bounds } = judgeLatency({ bounds: [{ most: 3, against: 'quiet', title: 'quiet' }] }, series,
    { ours: 'ours', bare: 'bare' });
  assert.deepEqual(ratios.map(({ name, ratio }) => [name, ratio]), [['ours', 2.5], ['bare', 90]]);
  assert.deepEqual(bounds.map(({ kept }) => kept), [true]);
});

test('words choose rows, groups and peers', () => {
  const names = (...words) => choose(words).map(({ name }) => name);
  assert.deepEqual(names(), ROWS.map(({ name }) => name));
  assert.deepEqual(names('all'), names());
  assert.deepEqual(names('bulk'), ['resolution-echo', 'receive-16k', 'send-16k', 'receive-512', 'send-512', 'receive-64k', 'send-64k']);
  assert.deepEqual(names('node-idle'), ['node-idle']);
  assert.throws(() => choose(['nonsense']), /does not know "nonsense"/);
  const [, echo] = choose(['echo-16k', 'libevent']);
  assert.deepEqual(echo.contestants, ['ours', 'libevent']);
  assert.deepEqual(echo.bounds.map(({ against }) => against), ['libevent']);
  assert.ok(choose(['nginx']).every(({ group, of }) => (of ?? group) === 'proxy'));
  assert.deepEqual(names('proxy-handshake'), ['resolution-proxy', 'proxy-handshake']);
  assert.deepEqual(names('latency'), ['resolution-latency', 'latency']);
  assert.deepEqual(choose(['resolution-node'])[0].contestants, ['module', 'module-again']);
});
