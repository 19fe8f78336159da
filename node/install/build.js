'use strict';
// Compiles file by file what changed, as many at once as there are processors, and links.

const { execFile } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { promisify } = require('node:util');
const { Problem } = require('./problem');

const run = promisify(execFile);
const LINKED = 'linked.txt';
const scratch = `.${process.pid}.tmp`; // two builds at once do not step on each other

function timeOf(file) {
  return fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Infinity;
}

// Files that came to be whole, or not at all. Their time is that of the beginning: what was changed
// meanwhile counts as newer.
async function make(command, options, output) {
  const begun = new Date();
  try {
    await run(command[0], [...command.slice(1), ...options, '-o', output + scratch],
      { maxBuffer: 1 << 26 });
  } catch (error) {
    fs.rmSync(output + scratch, { force: true });
    const words = error.stderr || error.message;
    throw new Problem(`the compiler failed on ${path.basename(output)}:\n${words}`);
  }
  fs.utimesSync(output + scratch, begun, begun);
  fs.renameSync(output + scratch, output);
}

// What an object was compiled from, as the compiler wrote it down (-MMD).
function dependencies(file) {
  if (!fs.existsSync(file)) return null;
  const text = fs.readFileSync(file, 'utf8').replace(/\\\n/g, ' ');
  return text.slice(text.indexOf(': ') + 2).trim().split(/(?<!\\)\s+/)
    .map((name) => name.replace(/\\ /g, ' '));
}

function isUpToDate(object, notes) {
  const made = fs.statSync(object, { throwIfNoEntry: false })?.mtimeMs;
  const from = made === undefined ? null : dependencies(notes);
  return from !== null && from.every((file) => timeOf(file) <= made);
}

// src/pair/port.c becomes pair-port.o.
function objectOf(source, folder) {
  const name = `${path.basename(path.dirname(source))}-${path.basename(source, '.c')}.o`;
  return path.join(folder, name);
}

async function compile(compiler, includes, source, object) {
  const notes = object.replace(/o$/, 'd');
  if (isUpToDate(object, notes)) return false;
  await make(compiler.command, [...compiler.compile, ...includes, '-MMD', '-MF', notes,
                                '-c', source], object);
  return true;
}

// Objects that were compiled in another way, or for another node, are of no use.
function prepareFolder(folder, compiler, includes) {
  const how = JSON.stringify([process.version, compiler, includes]);
  const stamp = path.join(folder, 'how.json');
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, 'utf8') === how) return;
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  fs.writeFileSync(stamp, how);
}

// Calls `work` for each item, a few at once; the first failure ends it.
async function inParallel(items, work) {
  const queue = [...items];
  const changed = [];
  const worker = async () => {
    for (let item; (item = queue.shift()) !== undefined;)
      if (await work(item)) changed.push(item);
  };
  const workers = Array.from({ length: os.cpus().length || 1 }, worker);
  const failed = (await Promise.allSettled(workers)).find((one) => one.status === 'rejected');
  if (failed) throw failed.reason;
  return changed;
}

// Out of just these objects: a source that went away leaves no newer one.
function isLinked(binary, objects, folder) {
  const list = path.join(folder, LINKED);
  return fs.existsSync(binary) && objects.every((object) => timeOf(object) <= timeOf(binary)) &&
    fs.existsSync(list) && fs.readFileSync(list, 'utf8') === objects.join('\n');
}

/** Builds the binding into `folder`. Answers { binary, changed }. */
async function build(compiler, { files, includes }, folder) {
  const name = `securepair-${process.versions.modules}-${process.arch}`;
  const binary = path.join(folder, `${name}.node`);
  const objects = path.join(folder, name);
  prepareFolder(objects, compiler, includes);
  const changed = await inParallel(files, (source) =>
    compile(compiler, includes, source, objectOf(source, objects)));
  const all = files.map((source) => objectOf(source, objects));
  if (changed.length === 0 && isLinked(binary, all, objects)) return { binary, changed: false };
  await make(compiler.command, [...all, ...compiler.link], binary);
  fs.writeFileSync(path.join(objects, LINKED), all.join('\n'));
  return { binary, changed: true };
}

module.exports = { build };
