'use strict';
// What does not drift: bench/counts.sh counts it, a line for each piece of work and server.

const path = require('node:path');

const { run } = require('./processes.js');

const COLUMNS = ['allocations', 'locks', 'system calls', 'bytes', 'instructions', 'of these our own', 'lines of memory'];

// handshake-1.3 ours 695 647 14 98000 2496094 9410 4100, or idle-1.3 ours 14785 bytes in 60 blocks, which it keeps
function readLine(line) {
  const [title, name, ...figures] = line.trim().split(/\s+/);
  if (figures[1] === 'bytes') return { title, name, bytes: Number(figures[0]), allocations: Number(figures[3]) };
  const values = figures.map(Number).filter(Number.isFinite);
  return { title, name, ...Object.fromEntries(values.map((value, i) => [COLUMNS[i], value])) };
}

async function measureCounts(kit, row, settings, tell) {
  tell(0, 1, 0);
  const words = [path.join(__dirname, 'counts.sh'), path.join(kit.build, 'libsecurepair.a')];
  const text = await run([...words, ...(settings.quick ? ['--quick'] : [])], { seconds: 1800 });
  const lines = text.split('\n').filter((line) => line.trim() && !line.startsWith('#'));
  const counts = lines.map(readLine);
  const isWhole = settings.quick || counts.some(({ instructions }) => instructions !== undefined);
  return { counts, notes: isWhole ? [] : ['without instructions: valgrind is not installed'] };
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
