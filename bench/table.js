'use strict';
// A row of results as text for a terminal.

const { countsTable } = require('./counts.js');

const number = (value) => {
  if (value >= 100) return value.toFixed(0);
  return value.toFixed(value >= 10 ? 1 : 2);
};
const factor = (value) => value.toFixed(value >= 10 ? 1 : 3);
const interval = ({ low, high }) => (low === high ? '(measured once)' : `[${factor(low)}, ${factor(high)}]`);
const verdict = ({ kept }) => (kept ? 'kept' : 'MISSED');

const UNITS = { us: 'us of server CPU', 's/GB': 's of server CPU for a GB', KB: 'KB of resident memory', 'us at p99': 'us that 99 of 100 do not exceed' };

const boundText = (bound) => `at most ${bound.most.toFixed(2)}  ${verdict(bound)}`;

function costLine(one, ratio, bound) {
  const cells = [`  ${one.title}`.padEnd(26), number(one.median).padStart(8)];
  if (ratio) cells.push(factor(ratio.ratio).padStart(8), interval(ratio).padEnd(16));
  if (bound) cells.push(boundText(bound));
  return cells.join('  ').trimEnd();
}

function costText(result) {
  const of = (list, name) => list.find(({ against }) => against === name);
  const lines = result.contestants.map((one) =>
    costLine(one, of(result.ratios, one.name), of(result.bounds, one.name)));
  for (const bound of result.bounds.filter(({ floor }) => floor !== undefined))
    lines.push(costLine({ title: 'floor', median: bound.floor }, bound, bound));
  return [`${result.title}  (${UNITS[result.unit]})`, ...lines];
}

function latencyText({ title, series, ratios, bounds, contestants }) {
  const titleOf = (name) => contestants.find((one) => one.name === name).title;
  const lines = series.map((one) => {
    const ratio = ratios.find(({ name, crowd }) => name === one.name && crowd === one.crowd);
    return [`  ${titleOf(one.name)}`.padEnd(26), (one.crowd ? `${one.crowd} at once` : 'quiet').padEnd(12),
      ...[one.handshakes, one.p50, one.p99, one['p99.9']].map((value) => number(value).padStart(8)),
      ratio ? `${factor(ratio.ratio).padStart(7)} ${interval(ratio)}` : ''].join(' ').trimEnd();
  });
  return [title, `${' '.repeat(40)}${['shakes/s', 'p50', 'p99', 'p99.9'].map((text) => text.padStart(8)).join(' ')} us` +
    '   p99 beside quiet', ...lines, ...bounds.map((bound) => `  ${bound.title}: ${factor(bound.ratio)}, ${boundText(bound)}`)];
}

function countsText(result) {
  const lines = countsTable(result, (name) => result.contestants.find((one) => one.name === name).title);
  const widths = lines[0].map((_, i) => Math.max(...lines.map((cells) => cells[i].length)));
  return [result.title, ...lines.map((cells) => `  ${cells.map((cell, i) =>
    (i < 2 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ')}`.trimEnd())];
}

function rowText(result) {
  const notes = (result.notes ?? []).map((note) => `  (${note})`);
  if (result.error) return [result.title, `  failed: ${result.error}`, ...notes].join('\n');
  const text = result.counts ? countsText : result.series ? latencyText : costText;
  return [...text(result), ...notes].join('\n');
}

// At the end: each bound, the missed ones with their figures.
function summaryText(results) {
  const bounds = results.flatMap((row) => (row.bounds ?? []).map((bound) => ({ ...bound, row })));
  const missed = bounds.filter(({ kept }) => !kept).map(({ row, title, ratio, low, high, most }) =>
    `  ${row.name}, beside ${title}: ${factor(ratio)} ${interval({ low, high })}, at most ${most.toFixed(2)}` +
    `${ratio <= most ? ' (the interval reaches over it)' : ''}`);
  const failed = results.filter(({ error }) => error).map(({ name, error }) => `  ${name}: ${error.split('\n')[0]}`);
  return [
    ...(bounds.length ? [`${bounds.length - missed.length} of ${bounds.length} figures to reach are kept.`] : []),
    ...(missed.length ? ['Missed:', ...missed] : []),
    ...(failed.length ? ['Failed:', ...failed] : []),
  ].join('\n');
}

module.exports = { rowText, summaryText, number, factor, interval };
