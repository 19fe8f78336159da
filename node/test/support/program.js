'use strict';
// Programs of their own process.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const register = path.join(__dirname, '..', '..', 'register.js');
const registerOld = path.join(__dirname, '..', '..', 'register-v0.4.js');

/** A folder of its own for the test `t`. */
function temporaryFolder(t) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'securepair-test-'));
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

// A sanitizer that is preloaded is for node; others do not get on with it.
function environmentFor(command, env) {
  const { LD_PRELOAD, ...others } = env;
  return command === process.execPath ? env : others;
}

/** Runs a program to its end: { status, signal, stdout, stderr }. `options` as for spawn. */
async function run(command, args, options = {}) {
  const env = environmentFor(command, options.env || process.env);
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options, env });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'])
    child[name].setEncoding('utf8').on('data', (text) => { output[name] += text; });
  const [status, signal] = await once(child, 'close');
  return { status, signal, ...output };
}

/** Runs node to its end. localhost is IPv4 there: node 18 tries only its first address. */
function runNode(args, options) {
  return run(process.execPath, ['--dns-result-order=ipv4first', ...args], options);
}

module.exports = { register, registerOld, run, runNode, temporaryFolder };
