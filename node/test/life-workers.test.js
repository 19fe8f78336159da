'use strict';
// Workers that end while the module is at work in them: FAULTS.md A09. SECUREPAIR_TEST_FULL=1: a
// thousand of them.

const assert = require('node:assert');
const { once } = require('node:events');
const fs = require('node:fs');
const { test } = require('node:test');
const { startWorker } = require('./support/child');
const { howMany } = require('./support/memory');
const { assertServes, connected, serve } = require('./support/transports');

const ROUNDS = howMany({ sanitized: 10, usual: 30, full: 1000 });

// What is open when a Worker is ended; each says so by `ready()`.
const SCENES = {
  'a server that listens': 'kit.listen({}, () => {}, ready);',
  'open sockets': `
    let open = 0;
    kit.listen({}, () => ++open === 3 && ready(), (port) => {
      for (let i = 0; i < 3; i++) kit.connect(port);
    });`,
  'handshakes under way': `
    const mute = require('net').createServer(ready).listen(0, '127.0.0.1', () => {
      kit.connect(mute.address().port);
    });`,
  'names being resolved': `
    for (let i = 0; i < 4; i++) kit.connect(443, { host: 'name' + i + '.invalid' });
    ready();`,
  'writes that nobody reads': `
    kit.listen({}, (socket) => {
      socket.pause();
      ready();
    }, (port) => {
      const client = kit.connect(port);
      for (let i = 0; i < 100; i++) client.write(Buffer.alloc(1 << 20));
    });`,
  'bytes in full flow, piped in C': `
    kit.listen({}, (socket) => socket.pipe(socket), (port) => {
      const client = kit.connect(port);
      const push = () => { while (client.write(Buffer.alloc(65536))) ; };
      client.on('secureConnect', push).on('drain', push);
      client.once('data', ready);
    });`,
  'a hook that has not answered': `
    kit.listen({ SNICallback: () => ready() }, () => {}, (port) => kit.connect(port));`,
  'TLS over a Duplex': `
    const net = require('net');
    const door = net.createServer((raw) => server.emit('connection', raw));
    const server = kit.tls.createServer(kit.own, () => ready());
    door.listen(0, '127.0.0.1', () => {
      const raw = net.connect(door.address().port, '127.0.0.1');
      kit.connect(1, { socket: raw });
    });`,
};

// Whatever becomes of the scene meanwhile, a Worker that listens does not end by itself.
const READY = `
  const ready = () => require('worker_threads').parentPort.postMessage('ready');
  require('worker_threads').parentPort.on('message', () => {});
`;

/** Runs a scene and ends its Worker in it; answers the exit code. */
async function terminate(scene) {
  const worker = startWorker(READY + scene);
  await once(worker, 'message');
  return worker.terminate();
}

for (const [name, scene] of Object.entries(SCENES)) {
  test(`A09 a Worker is terminated with ${name}`, async () => {
    assert.strictEqual(await terminate(scene), 1);
  });

  test(`A09 a Worker exits with ${name}`, async () => {
    const leave = '\nrequire("worker_threads").parentPort.on("message", () => process.exit(7));';
    const worker = startWorker(READY + scene + leave);
    const exited = once(worker, 'exit');
    await once(worker, 'message');
    worker.postMessage('go');
    assert.deepStrictEqual(await exited, [7]);
  });
}

test(`A09 ${ROUNDS} Workers in turn, each ended in the middle of something`, async () => {
  const scenes = Object.values(SCENES);
  const before = fs.readdirSync('/proc/self/fd').length;
  for (let i = 0; i < ROUNDS; i++)
    assert.strictEqual(await terminate(scenes[i % scenes.length]), 1);
  assert.ok(fs.readdirSync('/proc/self/fd').length <= before + 2);
});

test('A10 the module in a Worker and in the main thread at once', async (t) => {
  const server = await serve(t, 'native', {}, (socket) => socket.end('main'));
  const worker = startWorker(`${READY}
    const { parentPort } = require('worker_threads');
    kit.listen({}, (socket) => socket.end('worker'), (port) => parentPort.postMessage(port));
  `);
  const [port] = await once(worker, 'message');
  for (const [at, text] of [[port, 'worker'], [server.port, 'main'], [port, 'worker']]) {
    const client = await connected('native', at);
    assert.strictEqual((await once(client, 'data')).toString(), text);
    client.destroy();
  }
  await worker.terminate();
  await assertServes(server);
});
