'use strict';
// `./run bench`: our speed beside the floor and beside the peers, in one run. CONTRIBUTING.md says how
// to use it, docs/performance.md what is measured and how.

const fs = require('node:fs');
const path = require('node:path');

const { ROWS, GROUPS, PEERS, choose, isOfProxies } = require('./rows.js');
const { SERVERS, startServer } = require('./servers.js');
const { PROXIES, startProxy, startBackend } = require('./proxies.js');
const { makeKit } = require('./kit.js');
const { facts, differs } = require('./load.js');
const { measureCost, costSeconds } = require('./cost.js');
const { measureIdle, idleSeconds, connectionsOf } = require('./idle.js');
const { measureLatency, latencySeconds } = require('./latency.js');
const { judgeCost, judgeLatency } = require('./judge.js');
const { measureCounts, countsSeconds } = require('./counts.js');
const { describeMachine, watchMachine, isBusy } = require('./machine.js');
const { makeProgress, duration } = require('./progress.js');
const { rowText, summaryText } = require('./table.js');
const { writeDocument, writeCharts } = require('./document.js');
const { withServer, stopAll } = require('./processes.js');

const root = path.join(__dirname, '..');

const FULL = { rounds: 12, seconds: 2, latencyRounds: 12, latencySeconds: 2, times: 3, connections: [2000, 10000] };
const QUICK = { rounds: 5, seconds: 0.6, latencyRounds: 3, latencySeconds: 1, times: 1, connections: [500, 3000] };

const usage = `usage: ./run bench [WHAT...] [--quick] [--rounds N] [--seconds S] [--results FILE]
       ./run bench --document FILE      docs/performance.md from the results of a whole run
       ./run bench kept                 what bench/counts.txt keeps: our counts, for a test to compare
All of it takes about 65 minutes and wants a machine that does nothing else; peers that are not there
are installed. WHAT is groups or rows (with the same program against itself, which
belongs to them); the names of peers among them leave out the others.
  --quick         about 12 minutes: fewer and shorter slices, fewer connections, no instructions counted
  --rounds N      turns that everybody gets (${FULL.rounds}; quick: ${QUICK.rounds}); further sizes of bulk half, idle its own
  --seconds S     how long a turn is (${FULL.seconds}; quick: ${QUICK.seconds})
  --results FILE  where all figures go, as JSON (a new file in bench/results/); the charts go beside it
  groups: ${Object.keys(GROUPS).join(' ')}
  rows:   ${ROWS.map(({ name }) => name).join(' ').replace(/(.{1,88})( |$)/g, '$1\n          ').trim()}
  peers:  ${PEERS.join(' ')}`;

class Usage extends Error {}

function readWords(argv) {
  const asked = { words: [], settings: { ...FULL }, build: path.join(root, 'build-bench') };
  if (argv.includes('--quick')) asked.settings = { ...QUICK, quick: true };
  for (let i = 0; i < argv.length; i++) {
    const value = () => argv[++i] ?? fail(`${argv[i - 1]} wants a value`);
    const positive = (limit) => {
      const text = value();
      return Number(text) > 0 && Number(text) <= limit ? Number(text) : fail(`"${text}" is no number from 1 to ${limit}`);
    };
    if (argv[i] === '--rounds') asked.settings.rounds = asked.settings.latencyRounds = Math.ceil(positive(1000));
    else if (argv[i] === '--seconds') asked.settings.seconds = asked.settings.latencySeconds = positive(600);
    else if (argv[i] === '--results') asked.file = value();
    else if (argv[i] === '--document') asked.document = value();
    else if (argv[i] === '--build') asked.build = path.resolve(value());
    else if (argv[i] === '--help') asked.help = true;
    else if (argv[i] === '--needs') asked.needs = true;
    else if (argv[i].startsWith('-') && argv[i] !== '--quick') fail(`bench does not know ${argv[i]}`);
    else if (argv[i] !== '--quick') asked.words.push(argv[i]);
  }
  return asked;
}

function fail(text) {
  throw new Usage(text);
}

function chosenRows(words) {
  try {
    return choose(words);
  } catch (error) {
    throw new Usage(error.message);
  }
}

const titleOf = (name) => (SERVERS[name] ?? PROXIES[name]).title;

const SECONDS = { cost: costSeconds, idle: idleSeconds, latency: latencySeconds, counts: countsSeconds };

// -- contestants ---------------------------------------------------------------------------------

// Whether it can be started here; if not, why.
function missing(kit, name) {
  if (PROXIES[name]) return fs.existsSync(PROXIES[name].command(kit)) ? null : 'it is not installed';
  const { needs } = SERVERS[name];
  return needs && kit.missing.has(needs) ? 'its server could not be compiled' : null;
}

function starter(kit, row, backend) {
  if (isOfProxies(row)) return (name) => startProxy(kit, name, { key: row.what.key, backend: backend.port });
  if (row.kind !== 'latency') return (name) => startServer(kit, name, row.what);
  // A thread that works alone is not to wait for who else is on the machine; several share a core as
  // always.
  return (name) => startServer(kit, name, { ...row.what, ...(name === 'workers' ? { nice: true } : { realTime: 5 }) });
}

// Those of a row that are here, agree to the same as the first, and so can be held against it.
async function ready(kit, row, start, result) {
  const names = [];
  for (const name of row.contestants) {
    const reason = missing(kit, name) ?? (await unlike(kit, row, start, name, result));
    if (!reason) names.push(name);
    else if (name === row.contestants[0]) throw new Error(`${titleOf(name)}: ${reason}`);
    else result.notes.push(`without ${titleOf(name)}: ${reason}`);
  }
  return names;
}

async function unlike(kit, row, start, name, result) {
  try {
    const found = await withServer(start(name), (server) => facts(kit, server, row.what));
    result.facts[name] = found;
    const different = differs(result.facts[row.contestants[0]], found);
    return different.length ? different.join(', ') : null;
  } catch (error) {
    return error.message;
  }
}

// -- rows ----------------------------------------------------------------------------------------

async function measureRow(kit, row, settings, tell) {
  const result = { name: row.name, group: row.group, title: row.title, unit: row.unit, notes: [], facts: {} };
  const backend = isOfProxies(row) ? await startBackend(kit) : null;
  try {
    const start = starter(kit, row, backend);
    const names = await ready(kit, row, start, result);
    const here = { ...row, contestants: names };
    if (row.kind === 'idle')
      result.notes.push(`the growth from ${connectionsOf(row, settings.connections).join(' to ')} connections`);
    const told = (done, all, who) => tell(done, all, titleOf(names[who]));
    const found = await measureKind(kit, here, start, settings, told);
    return { ...result, ...found, notes: [...result.notes, ...(found.notes ?? [])] };
  } finally {
    await backend?.stop();
  }
}

async function measureKind(kit, row, start, settings, tell) {
  const names = row.contestants;
  const contestants = names.map((name) => ({ name, title: titleOf(name) }));
  if (row.kind === 'counts') return { contestants, ...(await measureCounts(kit, row, settings, tell)) };
  if (row.kind === 'latency') {
    const series = await measureLatency(kit, row, start, settings, tell);
    if (row.of) return judgeCost(row, contestants.map((one, i) => ({ ...one, values: series[i].p99s })));
    const titles = Object.fromEntries(names.map((name) => [name, titleOf(name)]));
    return { contestants, ...judgeLatency(row, series, titles) };
  }
  const values = await (row.kind === 'idle' ? measureIdle : measureCost)(kit, row, start, settings, tell);
  return judgeCost(row, contestants.map((one, i) => ({ ...one, values: values[i] })));
}

// -- the run -------------------------------------------------------------------------------------

function versions(kit, rows) {
  const names = [...new Set(rows.flatMap(({ contestants }) => contestants))];
  return Object.fromEntries(names.filter((name) => !missing(kit, name)).map((name) => {
    const { title, version, settings } = SERVERS[name] ?? PROXIES[name];
    return [name, { title, version: version(kit), settings }];
  }));
}

// Where the results go; known to be writable before anything is measured.
function resultsFile(file, when) {
  const results = path.join(__dirname, 'results');
  if (!file) fs.mkdirSync(results, { recursive: true });
  const to = file ?? path.join(results, `${when.slice(0, 19).replace(/:/g, '-')}Z.json`);
  try {
    fs.accessSync(path.dirname(to), fs.constants.W_OK);
  } catch (error) {
    throw new Error(`results cannot be written to ${to}: ${error.message}`);
  }
  return to;
}

// Whole or not at all.
function save(file, report) {
  fs.writeFileSync(`${file}.new`, `${JSON.stringify(report, null, 1)}\n`);
  fs.renameSync(`${file}.new`, file);
}

function programs(rows) {
  const servers = rows.flatMap(({ contestants }) => contestants).map((name) => SERVERS[name]?.needs).filter(Boolean);
  const others = rows.flatMap((row) => [...(row.kind === 'latency' ? ['latency'] : []), ...(isOfProxies(row) ? ['backend'] : [])]);
  return [...new Set(['load', 'cpu-time', ...servers, ...others])];
}

async function measure(kit, rows, report, file) {
  const { settings } = report;
  const progress = makeProgress(rows.map((row) => SECONDS[row.kind](row, settings)));
  for (const [i, row] of rows.entries()) {
    progress.begin(i, row.title);
    const tell = (done, all, who) => progress.tell(row.title, done, all, who);
    const result = await measureRow(kit, row, settings, tell)
      .catch((error) => ({ name: row.name, group: row.group, title: row.title, error: error.message }));
    report.results.push(result);
    save(file, report);
    progress.clear();
    console.log(`${rowText(result)}\n`);
  }
}

async function runBench({ words, settings, build, file }) {
  const rows = chosenRows(words);
  const when = new Date().toISOString();
  const to = resultsFile(file, when);
  const kinds = [...new Set(rows.map(({ what }) => what.key))];
  const kit = await makeKit({ build, programs: programs(rows), kinds }, (text) => console.log(text));
  const machine = describeMachine(root);
  const watched = watchMachine();
  const report = {
    when, command: ['./run bench', ...process.argv.slice(2).filter((_, i, all) => all[i] !== '--build' && all[i - 1] !== '--build')].join(' '),
    settings, machine, versions: versions(kit, rows), results: [],
  };
  console.log(`${machine.processor}; ${machine.system}; ${machine.openssl}; ${machine.commit}`);
  if (isBusy(machine)) console.log('The machine has other work: the figures are rough.');
  if (!machine.pinned) console.log('Server and client share the cores here: the figures are rough.');
  if (!machine.realTime) console.log('No real-time priority here: the latency probe waits like everybody.');
  console.log();
  const start = Date.now();
  await measure(kit, rows, report, to);
  Object.assign(report.machine, watched(), { minutes: (Date.now() - start) / 60000 });
  save(to, report);
  console.log(summaryText(report.results));
  const written = [to, ...writeCharts(report, to)].map((one) => (path.isAbsolute(file ?? '') ? one : path.relative(process.cwd(), one)));
  console.log(`${duration((Date.now() - start) / 1000)}; written: ${written.join(' ')}`);
  return report.results.some(({ error }) => error) ? 1 : 0;
}

function document(file) {
  let report;
  try {
    report = JSON.parse(fs.readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Error(`${file} has no results: ${error.message}`);
  }
  const left = ROWS.filter(({ name }) => !report.results.some((row) => row.name === name)).map(({ name }) => name);
  if (left.length)
    throw new Error(`${file} is of a part of the rows, and docs/performance.md is of all; it lacks ${left.join(', ')}`);
  for (const written of writeDocument(report, path.join(root, 'docs'))) console.log(`written: ${path.relative(process.cwd(), written)}`);
  return 0;
}

// For ./run, which installs them: the peers of the rows chosen, and what counts.
function tellNeeds(words) {
  const rows = chosenRows(words);
  const kinds = rows.some(({ kind }) => kind === 'counts') ? ['counts'] : [];
  console.log([...new Set([...rows.flatMap(({ contestants }) => contestants), ...kinds])].join(' '));
  return 0;
}

async function main() {
  const asked = readWords(process.argv.slice(2));
  if (asked.help) return console.log(usage), 0;
  if (asked.needs) return tellNeeds(asked.words);
  return asked.document ? document(asked.document) : runBench(asked);
}

for (const [signal, status] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]])
  process.once(signal, () => process.exit(status));
process.once('exit', stopAll);

main().then((status) => process.exit(status), (error) => {
  console.error(`bench: ${error instanceof Usage ? `${error.message}\n${usage}` : error.message}`);
  process.exit(error instanceof Usage ? 2 : 1);
});
