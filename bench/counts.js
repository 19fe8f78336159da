'use strict';
// What does not drift: bench/counts.sh counts it, a line for each piece of work and server.

const path = require('node:path');

const { run } = require('./processes.js');

const COLUMNS = ['allocations', 'locks', 'system calls', 'instructions', 'of these our own', 'lines of memory', 'bytes'];

// handshake-1.3 ours 695 647 14 2496094 9410 4100, or idle-1.3 ours 14785 bytes
function readLine(line) {
  const [title, name, ...figures] = line.trim().split(/\s+/);
  if (figures[1] === 'bytes') return { title, name, bytes: Number(figures[0]) };
  const values = figures.map(Number).filter(Number.isFinite);
  return { title, name, ...Object.fromEntries(values.map((value, i) => [COLUMNS[i], value])) };
}

async function measureCounts(kit, row, settings, tell) {
  tell(0, 1, 0);
  const words = [path.join(__dirname, 'counts.sh'), path.join(kit.build, 'libsecurepair.a')];
  const text = await run([...words, ...(settings.quick ? ['--quick'] : [])], { seconds: 1800 });
  const lines = text.split('\n').filter((line) => line.trim() && !line.startsWith('#'));
  return { counts: lines.map(readLine) };
}

// Lines of cells, for a terminal or a document.
function countsTable({ counts }, titleOf) {
  const cell = (value) => (value === undefined ? '' : value.toLocaleString('en'));
  const columns = COLUMNS.filter((name) => counts.some((one) => one[name] !== undefined));
  return [['', '', ...columns], ...counts.map((one) =>
    [one.title, titleOf(one.name), ...columns.map((name) => cell(one[name]))])];
}

const countsSeconds = (row, { quick }) => (quick ? 20 : 240);

module.exports = { measureCounts, countsTable, countsSeconds };
