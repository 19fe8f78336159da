'use strict';
// Medians, and ratios of what was measured in pairs. Nothing here knows what a benchmark is.

// Of values between two others the one in the proportion `part`, as most people count it.
function quantile(values, part) {
  const sorted = [...values].sort((a, b) => a - b);
  const place = (sorted.length - 1) * part;
  const below = Math.floor(place);
  const above = Math.ceil(place);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}

const median = (values) => quantile(values, 0.5);

// The same numbers every time, so that a result can be computed again (mulberry32's mixing).
function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

// The 95 % interval of the median by bootstrap: medians of as many values drawn with repetition.
function interval(values, { times = 4000, random = randomFrom(1) } = {}) {
  const draw = () => values[Math.floor(random() * values.length)];
  const medians = Array.from({ length: times }, () => median(values.map(draw)));
  return [quantile(medians, 0.025), quantile(medians, 0.975)];
}

const pairs = (ours, theirs) => ours.map((value, i) => value / theirs[i]);

// ours[i] and theirs[i] are of one round: what the machine did meanwhile, it did to both.
function compare(ours, theirs) {
  if (!ours.length || ours.length !== theirs.length)
    throw new Error(`${ours.length} values cannot be paired with ${theirs.length}`);
  const ratios = pairs(ours, theirs);
  const [low, high] = interval(ratios);
  return { ratio: median(ratios), low, high };
}

module.exports = { quantile, median, randomFrom, interval, compare };
