'use strict';
// Programs of their own process or Worker that use the module under test with the keys of the test
// that starts them. The programs find in `kit` what this module exports there.

const fs = require('node:fs');
const { Worker } = require('node:worker_threads');

const FOLDER = 'SECUREPAIR_TEST_KEYS';
const MOST = 60000; // milliseconds, then SIGTERM: it hangs
const PRELUDE = `const kit = require(${JSON.stringify(__filename)}).kit();\n`;

/** { tls, own, listen, connect, keep }: own is { key, cert }. */
function kit() {
  const { tls } = require('./module');
  const read = (name) => fs.readFileSync(`${process.env[FOLDER]}/${name}`);
  const own = { key: read('server-key.pem'), cert: read('server-cert.pem') };
  const ca = read('root-cert.pem');

  /** A server on a free port; `ready(port)` once it listens. */
  function listen(options, listener, ready) {
    const server = tls.createServer({ ...own, ...options }, listener);
    server.on('secureConnection', (socket) => socket.on('error', () => {}));
    return server.listen(0, '127.0.0.1', () => ready(server.address().port));
  }

  /** A client whose errors are heard. */
  function connect(port, options) {
    const all = { port, host: '127.0.0.1', servername: 'localhost', ca, ...options };
    return tls.connect(all).on('error', () => {});
  }

  return { tls, own, ca, listen, connect };
}

function environment() {
  return { ...process.env, [FOLDER]: require('./keys').keys().folder };
}

/** Runs a program in a process: { status, signal, stdout, stderr }. */
function runProgram(program, ...flags) {
  const { runNode } = require('./program');
  return runNode([...flags, '-e', PRELUDE + program], { env: environment(), timeout: MOST });
}

/** Runs a program that stands in a file, which calls kit() itself. */
function runFile(file, ...args) {
  const { runNode } = require('./program');
  return runNode(['--expose-gc', file, ...args], { env: environment(), timeout: MOST });
}

/** Starts a program in a Worker. */
function startWorker(program) {
  return new Worker(PRELUDE + program, { eval: true, env: environment() });
}

module.exports = { kit, runProgram, runFile, startWorker };
