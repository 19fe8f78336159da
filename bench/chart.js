'use strict';
// Results as a picture: bars, from nothing on, with the interval of each ratio and the figure to reach.
// SVG as text, in the colours that the reader's system prefers.

const { compare } = require('./statistics.js');
const { number } = require('./table.js');

const WIDTH = 760;
const LEFT = 180; // of the bars
const RIGHT = 150; // for what stands behind them
const ROOM = WIDTH - LEFT - RIGHT;
const BAR = 16;
const STEP = 24;

const STYLE = `
  text { font: 13px system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif; fill: #24292f; }
  text { paint-order: stroke; stroke: #ffffff; stroke-width: 4px; stroke-linejoin: round; }
  .back { fill: #ffffff; }
  .title { font-size: 17px; font-weight: 600; }
  .head { font-weight: 600; }
  .soft { fill: #656d76; }
  .ours { fill: #0969da; }
  .other { fill: #a9b4c0; }
  .label-ours { font-weight: 600; }
  .whisker { stroke: #24292f; stroke-width: 1.4; fill: none; }
  .grid { stroke: #d8dee4; stroke-width: 1; }
  .bound { stroke: #bc4c00; stroke-width: 1.6; stroke-dasharray: 4 3; }
  .missed { fill: #bc4c00; }
  .kept { fill: #1a7f37; }
  .range-ours { stroke: #0969da; stroke-width: 3; }
  .range-other { stroke: #a9b4c0; stroke-width: 3; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; stroke: #0d1117; }
    .back { fill: #0d1117; }
    .soft { fill: #8d96a0; }
    .ours { fill: #4493f8; }
    .other { fill: #57606a; }
    .whisker { stroke: #e6edf3; }
    .grid { stroke: #30363d; }
    .bound { stroke: #f0883e; }
    .missed { fill: #f0883e; }
    .kept { fill: #3fb950; }
    .range-ours { stroke: #4493f8; }
    .range-other { stroke: #6e7681; }
  }
`;

const escape = (text) =>
  String(text).replace(/[&<>"]/g, (sign) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' })[sign]);

const at = (value) => value.toFixed(1);

const text = (x, y, words, kind = '', anchor = 'start') =>
  `<text x="${at(x)}" y="${at(y)}" class="${kind}" text-anchor="${anchor}">${escape(words)}</text>`;

const line = (x1, y1, x2, y2, kind) =>
  `<line x1="${at(x1)}" y1="${at(y1)}" x2="${at(x2)}" y2="${at(y2)}" class="${kind}"/>`;

const box = (x, y, width, height, kind) =>
  `<rect x="${at(x)}" y="${at(y)}" width="${at(Math.max(1, width))}" height="${height}" rx="2" class="${kind}"/>`;

function drawing(height, title, parts) {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${Math.ceil(height)}" width="${WIDTH}" height="${Math.ceil(height)}" role="img" aria-label="${escape(title)}">
<style>${STYLE}</style>
<rect class="back" width="100%" height="100%"/>
${parts.join('\n')}
</svg>
`;
}

// -- bars ----------------------------------------------------------------------------------------

// Each as many times what the second costs as the pairs say, so that the lengths are to each other as
// the ratios are; the interval is that of the ratio.
function barsOf(row) {
  const base = row.contestants[1] ?? row.contestants[0];
  return row.contestants.map((one) => {
    const { ratio, low, high } = compare(one.values, base.values);
    const [value, from, to] = [ratio, low, high].map((part) => part * base.median);
    return { ...one, value, from, to, isBase: one === base };
  });
}

// The hardest of a row's bounds in the row's unit.
function toReach(row, bars) {
  const values = row.bounds.map((bound) => ({
    ...bound,
    value: bound.most * (bound.floor ?? bars.find(({ name }) => name === bound.against).value),
  }));
  return values.length ? values.reduce((a, b) => (b.value < a.value ? b : a)) : null;
}

function whisker({ from, to, isBase }, x, y) {
  if (isBase) return '';
  const [a, b] = [x(from), x(to)];
  return `<path class="whisker" d="M${at(a)} ${at(y - 4)}v8 M${at(a)} ${at(y)}H${at(b)} M${at(b)} ${at(y - 4)}v8"/>`;
}

function barParts(bar, row, x, y) {
  const ratio = row.ratios.find(({ against }) => against === bar.name);
  const bold = ratio ? '' : 'label-ours';
  return [
    text(LEFT - 10, y + 12.5, bar.title, bold, 'end'),
    box(LEFT, y, x(bar.value) - LEFT, BAR, ratio ? 'other' : 'ours'),
    whisker(bar, x, y + BAR / 2),
    text(Math.max(x(bar.value), x(bar.to)) + 8, y + 12.5, `${number(bar.median)} ${row.unit}`, bold),
    ...(ratio ? [text(WIDTH - 12, y + 12.5, `${ratio.ratio.toFixed(2)} ×`, 'soft', 'end')] : []),
  ];
}

function boundParts(bound, x, top, bottom) {
  const name = bound.against === 'floor' ? 'the floor' : bound.title;
  const said = `${bound.kept ? '✓' : '✗'} to reach: ${bound.most.toFixed(2)} × ${name}`;
  return [line(x(bound.value), top, x(bound.value), bottom, 'bound'), text(WIDTH - 12, top - 8, said, bound.kept ? 'kept' : 'missed', 'end')];
}

function panel(row, top) {
  const bars = barsOf(row);
  const bound = toReach(row, bars);
  const longest = Math.max(...bars.flatMap(({ value, to }) => [value, to]), bound?.value ?? 0);
  const x = (value) => LEFT + (ROOM * value) / longest;
  const begin = top + 34;
  const end = begin + bars.length * STEP - 2;
  const parts = [text(12, top + 20, row.title, 'head'), line(LEFT, begin - 4, LEFT, end, 'grid')];
  bars.forEach((bar, i) => parts.push(...barParts(bar, row, x, begin + i * STEP)));
  if (bound) parts.push(...boundParts(bound, x, begin - 6, end));
  return { parts, height: end - top + 10 };
}

// Rows of one kind below each other, each with a scale of its own.
function bars(title, rows) {
  const parts = [
    text(12, 28, title, 'title'),
    text(12, 48, 'Shorter is better. Behind the bars: the first as a multiple of each; whiskers: 95 % interval.', 'soft'),
  ];
  let top = 58;
  for (const row of rows) {
    const { parts: more, height } = panel(row, top);
    parts.push(...more);
    top += height;
  }
  return drawing(top + 6, title, parts);
}

// -- latency -------------------------------------------------------------------------------------

const TICKS = [[100, '0.1 ms'], [1000, '1 ms'], [10000, '10 ms'], [100000, '100 ms']];
const LATENCY_LEFT = 210;
const LATENCY_ROOM = WIDTH - LATENCY_LEFT - 90;

function latencyScale({ series, bounds }) {
  const least = Math.min(...series.map(({ p50 }) => p50)) * 0.8;
  const quiet = series.filter(({ crowd, name }) => !crowd && name !== 'bare').map(({ p99 }) => p99);
  const toReach = bounds.length ? quiet.map((p99) => p99 * bounds[0].most) : [];
  const greatest = Math.max(...series.map((one) => one['p99.9']), ...toReach) * 1.1;
  return {
    x: (value) => LATENCY_LEFT + (LATENCY_ROOM * Math.log(value / least)) / Math.log(greatest / least),
    ticks: TICKS.filter(([value]) => value > least && value < greatest),
  };
}

function latencyLine(one, title, y, x) {
  const kind = one.name === 'bare' ? 'other' : 'ours';
  const range = one.name === 'bare' ? 'range-other' : 'range-ours';
  const crowd = one.crowd ? `${one.crowd} at once` : 'quiet';
  return [
    ...(one.crowd ? [] : [text(12, y - 17, title, 'head')]),
    text(LATENCY_LEFT - 12, y + 4.5, crowd, '', 'end'),
    line(x(one.p50), y, x(one['p99.9']), y, range),
    box(x(one.p50) - 1.5, y - 6, 3, 12, kind),
    `<circle cx="${at(x(one.p99))}" cy="${at(y)}" r="5.5" class="${kind}"/>`,
    text(x(one['p99.9']) + 10, y + 4.5, `${number(one.p99 / 1000)} ms`, ''),
  ];
}

function latency(row) {
  const { x, ticks } = latencyScale(row);
  const parts = [];
  let y = 100;
  for (const one of row.series) {
    if (!one.crowd && one !== row.series[0]) y += 26;
    const bound = row.bounds.find(({ title }) => title.startsWith(`${titleOf(row, one.name)}:`));
    if (!one.crowd && bound) {
      const quiet = one.p99 * bound.most;
      parts.push(line(x(quiet), y - 12, x(quiet), y + 60, 'bound'));
    }
    parts.push(...latencyLine(one, titleOf(row, one.name), y, x));
    y += 24;
  }
  const grid = ticks.flatMap(([value, label]) =>
    [line(x(value), 66, x(value), y - 6, 'grid'), text(x(value), y + 12, label, 'soft', 'middle')]);
  return drawing(y + 26, row.title, [
    text(12, 28, 'Echo latency while handshakes arrive, ten bursts a second', 'title'),
    text(12, 48, 'From p50 to p99.9 with a dot and the figure at p99; further left is better. Dashed: 3 × its own quiet p99.', 'soft'),
    ...grid, ...parts,
  ]);
}

const titleOf = (row, name) => row.contestants.find((one) => one.name === name).title;

module.exports = { bars, latency };
