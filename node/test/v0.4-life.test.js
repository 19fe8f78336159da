'use strict';
// How processes and Workers end while the module is at work.

const assert = require('node:assert');
const { execFile } = require('node:child_process');
const path = require('node:path');
const { test } = require('node:test');
const { Worker } = require('node:worker_threads');
const { keys } = require('./support/old');

const MODULE = path.join(__dirname, '..', 'lib', 'v0.4');

// Echoes to itself for as long as it is let; `rounds` counts.
const BUSY = `
'use strict';
const tls = require(${JSON.stringify(MODULE)});
const fs = require('fs');
function busy([keyPath, certPath], onRound, onSecure = () => {}) {
  const own = { key: fs.readFileSync(keyPath), cert: fs.readFileSync(certPath) };
  const server = tls.createServer(own).listen(0, '127.0.0.1', again);
  server.on('secureConnection', (s) => {
    s.pipe(s);
    onSecure(s);
  });
  let rounds = 0;
  function again() {
    const s = tls.connect(server.address().port, '127.0.0.1', () => {
      s.authorized;
      s.write('round');
    });
    s.on('data', () => s.end());
    s.on('close', () => {
      setImmediate(() => server.listening && again());
      onRound(++rounds, server);
    });
  }
}
`;

function paths() {
  const { keyPath, certPath } = keys().server;
  return [keyPath, certPath];
}

function run(program, ...flags) {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [...flags, '-e', BUSY + program, ...paths()],
      (error, stdout, stderr) => (error ? reject(error) : resolve(stdout + stderr)));
  });
}

test('a program ends by itself when its server is closed', async () => {
  assert.strictEqual(await run(`
    busy(process.argv.slice(1), (n, server) => n === 3 && server.close());
  `), '');
});

test('an exception in a listener is an uncaughtException, and the rest goes on', async () => {
  const said = await run(`
    process.on('uncaughtException', (error) => console.log(error.message));
    busy(process.argv.slice(1), (n, server) => {
      if (n === 4) server.close();
      throw new Error('in close');
    }, () => { throw new Error('in secureConnection'); });
  `);
  const lines = said.trim().split('\n');
  assert.strictEqual(lines.filter((line) => line === 'in secureConnection').length, 4);
  assert.strictEqual(lines.filter((line) => line === 'in close').length, 4);
  assert.strictEqual(lines.length, 8, said);
});

test('process.exit in callbacks', async () => {
  for (const event of ['data', 'end', 'close', 'secure']) {
    await run(`
      busy(process.argv.slice(1), () => {});
      const own = { key: fs.readFileSync(process.argv[1]), cert: fs.readFileSync(process.argv[2]) };
      const server = tls.createServer(own, (s) => s.end('bye')).listen(0, '127.0.0.1', () => {
        const leave = () => process.exit(0);
        const on = ${JSON.stringify(event)};
        const s = tls.connect(server.address().port, '127.0.0.1', on === 'secure' ? leave : null);
        s.on(on, leave);
      });
    `);
  }
});

test('collection in every callback', async () => {
  assert.strictEqual(await run(`
    const { emit } = require('net').Socket.prototype;
    require('net').Socket.prototype.emit = function (...all) {
      gc();
      return emit.apply(this, all);
    };
    busy(process.argv.slice(1), (n, server) => n === 5 && server.close());
  `, '--expose-gc'), '');
});

test('Workers are ended in the middle of it', async () => {
  const program = `${BUSY}
    const { parentPort, workerData } = require('worker_threads');
    busy(workerData, (n) => parentPort.postMessage(n));
  `;
  for (let i = 0; i < 8; i++) {
    const worker = new Worker(program, { eval: true, workerData: paths() });
    await new Promise((resolve, reject) => {
      worker.on('message', (n) => n > i && resolve());
      worker.on('error', reject);
    });
    assert.strictEqual(await worker.terminate(), 1);
  }
});
