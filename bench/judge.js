'use strict';
// What was measured beside the figures to reach.

const { median, compare } = require('./statistics.js');
const { stormRatio } = require('./latency.js');

// A bound is kept when the whole interval is within it.
const judged = (bound, against, title, { ratio, low, high }) =>
  ({ ...bound, against, title, ratio, low, high, kept: high <= bound.most });

const cheapest = (others) => others.reduce((a, b) => (b.median < a.median ? b : a));

function judgeOne(bound, [first, ...others]) {
  const { floor, against } = bound;
  if (floor !== undefined)
    return judged(bound, against, bound.title, compare(first.values, first.values.map(() => floor)));
  const other = against === 'best' ? others.length && cheapest(others) : others.find(({ name }) => name === against);
  if (!other) return null;
  return judged(bound, other.name, against === 'best' ? `${other.title}, the best of them` : other.title,
    compare(first.values, other.values));
}

// contestants: [{ name, title, values }], the one that is judged first.
function judgeCost(row, contestants) {
  for (const one of contestants) one.median = median(one.values);
  const [first, ...others] = contestants;
  return {
    contestants,
    ratios: others.map(({ name, title, values }) => ({ against: name, title, ...compare(first.values, values) })),
    bounds: first.name === row.contestants[0]
      ? row.bounds.map((bound) => judgeOne(bound, contestants)).filter(Boolean) : [],
  };
}

// Every server beside its own quiet self; the bound is for ours under the largest crowd.
function judgeLatency(row, series, titles) {
  const ratios = series.filter(({ crowd }) => crowd).map(({ name, crowd }) => ({
    name, crowd, title: `${titles[name]}, ${crowd} at once`, ...stormRatio(series, name, crowd),
  }));
  const worst = Math.max(...series.map(({ crowd }) => crowd));
  const ours = ratios.filter(({ name, crowd }) => crowd === worst && name !== 'bare');
  return {
    series, ratios,
    bounds: row.bounds.flatMap((bound) => ours.map((one) =>
      judged(bound, 'quiet', `${titles[one.name]}: ${bound.title}`, one))),
  };
}

module.exports = { judgeCost, judgeLatency };
