'use strict';
// docs/performance.md and its charts, from the results of one run.

const fs = require('node:fs');
const path = require('node:path');

const { GROUPS } = require('./rows.js');
const { number, factor, interval } = require('./table.js');
const chart = require('./chart.js');
const { countsTable } = require('./counts.js');
const notes = require('./notes.js');
const { isBusy } = require('./machine.js');
const { WARM } = require('./cost.js');
const { duration } = require('./progress.js');

const UNITS = {
  us: 'microseconds of server CPU each', 's/GB': 'seconds of server CPU for a GB',
  KB: 'KB of resident memory for each connection', 'us at p99': 'microseconds that 99 of 100 echoes do not exceed',
};

const method = ({ settings, machine }) => `
What is counted is the time that the *server's processes* spend on a processor, user and system, all threads, for one
unit of work; not a rate by the clock, where the client is often the slower half. All contestants of a row
have the same key, suite (AES-128-GCM) and group (X25519), which the load maker asks each of them before it starts;
where one of them cannot send just one ticket, the last table says how many. They take turns in slices of ${settings.seconds} s, in an order
that lets a drift of the machine cancel (A B C C B A, B C A A C B, ...), ${settings.rounds} rounds of them; the other sizes of bulk
have half as many, the latency has ${settings.latencyRounds} rounds with slices of ${settings.latencySeconds} s, and idle connections are counted ${settings.times > 1 ? `${settings.times} times (their interval is the least and the greatest of the ratios)` : 'once'}.
Each slice has a process of its own, since processes of one program differ by some percent for as long as they live, by where
their code and memory happen to lie. It did the same work for ${Math.min(settings.seconds, WARM.native)} s before it is measured, a JavaScript engine for
${Math.min(settings.seconds, WARM.engine)} s; for the latency one process is measured quiet and then with each number of handshakes at once, after 500 handshakes; and idle connections are a
new process's first. A ratio is the median of
the rounds' ratios (not the quotient of the two medians in the table above it, from which it differs where the machine was slower in
some rounds), and in brackets stands its 95 % interval by bootstrap. A figure to reach is *kept* when the whole
interval is within it. The same program against itself, in the first table, shows how far the machine's noise
reaches. ${machine.pinned ? 'The server has core 0 for itself, the client core 1' : 'Server and client shared the cores'}; ${machine.realTime ? 'the latency probe runs with real-time priority' : 'the latency probe had no real-time priority'}. Both ends use
cubic, since a machine whose default is bbr paces even the loopback.
`.trim();

// -- tables --------------------------------------------------------------------------------------

const tableRow = (cells) => `| ${cells.join(' | ')} |`;

function table(head, rows) {
  return [tableRow(head), tableRow(head.map((_, i) => (i ? '--:' : '---'))), ...rows.map(tableRow)].join('\n');
}

const mark = (bound) => (bound ? `${bound.most.toFixed(2)} ${bound.kept ? 'kept' : '**missed**'}` : '');

// What stands behind a row's figures: each bound, and who else it was held against.
function ratioText(ratio, bound) {
  return `${factor(ratio.ratio)} ${interval(ratio)}${bound ? `, at most ${mark(bound)}` : ''}`;
}

// One line for each row of a group: everybody's figure, then ours beside theirs.
function costTable(rows) {
  const titles = new Map(rows.flatMap(({ contestants }) => contestants.map(({ name, title }) => [name, title])));
  const names = [...titles.keys()];
  const figures = table(['', ...titles.values()], rows.map((row) => [
    `${row.title}, ${row.unit}`,
    ...names.map((name) => {
      const one = row.contestants.find((contestant) => contestant.name === name);
      return one ? number(one.median) : '';
    }),
  ]));
  const others = names.slice(1);
  const ratios = table([`${names[0] === 'once' ? 'once' : 'securepair'} as a multiple of`, ...others.map((name) => titles.get(name))], rows.map((row) => [
    row.title,
    ...others.map((name) => {
      const ratio = row.ratios.find(({ against }) => against === name);
      return ratio ? ratioText(ratio, row.bounds.find(({ against }) => against === name)) : '';
    }),
  ]));
  const floors = rows.flatMap((row) => row.bounds.filter(({ floor }) => floor !== undefined).map((bound) =>
    `${row.title}: ${factor(bound.ratio)} ${interval(bound)} times ${number(bound.floor)} ${row.unit} (${bound.title}), at most ${mark(bound)}.`));
  return [figures, ratios, ...floors].join('\n\n');
}

function latencyTable(row) {
  const titleOf = (name) => row.contestants.find((one) => one.name === name).title;
  const worst = Math.max(...row.series.map(({ crowd }) => crowd));
  return table(['', 'handshakes a second', 'p50, us', 'p99, us', 'p99.9, us', 'p99 / quiet', 'at most'], row.series.map((one) => {
    const ratio = row.ratios.find(({ name, crowd }) => name === one.name && crowd === one.crowd);
    const bound = one.crowd === worst && row.bounds.find(({ title }) => title.startsWith(`${titleOf(one.name)}:`));
    return [`${titleOf(one.name)}, ${one.crowd ? `${one.crowd} at once` : 'quiet'}`,
      one.handshakes ? number(one.handshakes) : '', number(one.p50), number(one.p99), number(one['p99.9']),
      ratio ? `${factor(ratio.ratio)} ${interval(ratio)}` : '', mark(bound)];
  }));
}

const COUNTED = 'For one handshake, one echo, one idle connection. Bytes are those allocated meanwhile, for an idle connection those kept, ' +
  'with the blocks that they are in. Lines of memory are those of 64 bytes that callgrind fetches into a second-level cache of 512 KiB, ' +
  'less than many processors have.';

function countsOf(row) {
  const [head, ...lines] = countsTable(row, (name) => row.contestants.find((one) => one.name === name).title);
  return `${COUNTED}\n\n${table(head, lines)}`;
}

// A note in several parts is about all rows of the group.
function remarks(row) {
  const note = notes[row.name] ?? [];
  const own = [...(row.error ? [`failed: ${row.error.split('\n')[0]}`] : []), ...(row.notes ?? [])];
  const [one, all] = Array.isArray(note) ? [own, note] : [[...own, note], []];
  return [...one.map((text) => `- ${row.title}: ${text}`), ...all.map((text) => `- ${text}`)];
}

// The same twice is one column and another, whatever it is.
function asPair(row) {
  if (row.group !== 'resolution') return row;
  const contestants = row.contestants.map((one, i) => ({ ...one, name: i ? 'again' : 'once', title: i ? 'again' : 'once' }));
  return { ...row, contestants, ratios: row.ratios.map((ratio) => ({ ...ratio, against: 'again' })) };
}

function tables(rows) {
  const whole = rows.filter(({ error }) => !error).map(asPair);
  const costs = whole.filter(({ series, counts }) => !series && !counts);
  return [
    ...(costs.length ? [costTable(costs)] : []),
    ...whole.filter(({ series }) => series).map(latencyTable),
    ...whole.filter(({ counts }) => counts).map(countsOf),
  ];
}

// -- parts ---------------------------------------------------------------------------------------

const drawn = (row) => !row.error && !row.counts && row.contestants.length > 1;

function chartsOf(group, rows) {
  const whole = rows.filter(drawn).map(asPair);
  if (!whole.length) return [];
  return [[`${group}.svg`, group === 'latency' ? chart.latency(whole[0]) : chart.bars(GROUPS[group], whole)]];
}

function groupSection(group, rows, pictures) {
  const said = rows.flatMap(remarks);
  return [`## ${GROUPS[group]}`, ...pictures.map(([file]) => `![${GROUPS[group]}](performance/${file})`),
    ...unitsOf(rows), ...tables(rows), ...(said.length ? [said.join('\n')] : [])].join('\n\n');
}

function unitsOf(rows) {
  const units = [...new Set(rows.filter(({ series }) => !series).map(({ unit }) => unit))].filter((unit) => unit in UNITS);
  return units.length ? [`${units.map((unit) => `${unit}: ${UNITS[unit]}`).join('; ')}.`] : [];
}

function summary(results) {
  const bounds = results.flatMap((row) => (row.bounds ?? []).map((bound) => ({ row, ...bound })));
  const kept = bounds.filter((bound) => bound.kept).length;
  const missed = bounds.filter((bound) => !bound.kept).map(({ row, title, ratio, low, high, most }) =>
    `- ${row.title}, beside ${title}: ${factor(ratio)} ${interval({ low, high })}, at most ${most.toFixed(2)}`);
  return [`${kept} of ${bounds.length} figures to reach are kept.${missed.length ? ' Missed:' : ''}`,
    ...(missed.length ? [missed.join('\n')] : [])].join('\n\n');
}

// What the load maker saw each of them send after a full handshake of TLS 1.3.
function ticketsOf(name, results) {
  const row = results.find(({ facts }) => facts?.[name]?.protocol === 'TLSv1.3');
  return row ? row.facts[name].tickets : '';
}

function contestantsSection({ versions, results }) {
  const lines = Object.entries(versions).map(([name, { title, version, settings }]) =>
    [title, version, ticketsOf(name, results), settings]);
  return ['## Who took part', [tableRow(['', 'version', 'tickets', 'settings']), '|---|---|---|---|', ...lines.map(tableRow)].join('\n')].join('\n\n');
}

function conditions({ when, command, machine }) {
  const stolen = machine.stolen >= 0.005 ? `; a hypervisor took ${(machine.stolen * 100).toFixed(1)} % of the time` : '';
  return `\`${command}\` on ${when.slice(0, 10)} at ${when.slice(11, 16)} UTC${machine.minutes ? `, in ${duration(machine.minutes * 60)}` : ', which did not come to its end'}. ` +
    `Machine: ${machine.processor}, ${machine.memory}; ${machine.system}; ${machine.loadBefore.toFixed(1)} cores at work just before the run${stolen}. ` +
    `${isBusy(machine) ? '**The machine had other work at the same time: these figures are rough.** ' : ''}` +
    `${machine.openssl}, libuv ${machine.libuv}, node ${machine.node}, ${machine.compiler}. securepair ${machine.commit}.`;
}

const byGroup = (results) =>
  Object.keys(GROUPS).map((group) => [group, results.filter((row) => row.group === group)]).filter(([, rows]) => rows.length);

// Writes docs/performance.md and docs/performance/*.svg; answers the files.
function writeDocument(report, docs) {
  const folder = path.join(docs, 'performance');
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  const written = [];
  const sections = byGroup(report.results).map(([group, rows]) => {
    const pictures = chartsOf(group, rows);
    for (const [file, svg] of pictures) {
      fs.writeFileSync(path.join(folder, file), svg);
      written.push(path.join(folder, file));
    }
    return groupSection(group, rows, pictures);
  });
  const text = ['# Performance', '<!-- Generated by ./run bench --document; what is said by hand is in bench/notes.js. -->',
    conditions(report), summary(report.results), '## How it is measured', method(report), ...sections,
    contestantsSection(report)].join('\n\n');
  const file = path.join(docs, 'performance.md');
  fs.writeFileSync(file, `${text}\n`);
  return [file, ...written];
}

// The charts of a part of the rows, too, beside its results: FILE.json has FILE-GROUP.svg. Answers the files.
function writeCharts(report, file) {
  return byGroup(report.results).flatMap(([group, rows]) => chartsOf(group, rows)).map(([name, svg]) => {
    const to = `${file.replace(/\.json$/, '')}-${name}`;
    fs.writeFileSync(to, svg);
    return to;
  });
}

module.exports = { writeDocument, writeCharts };
