'use strict';
// A client that is given up: no error, one close, nothing afterwards.

const assert = require('node:assert');
const { once } = require('node:events');
const net = require('node:net');
const { test } = require('node:test');
const { tls, identity, serve, portOf, connected } = require('./support/old');

function never(what) {
  return () => assert.fail(`${what} was emitted`);
}

test('destroy before connecting: close, and never an error', async () => {
  const stream = tls.connect(1, never('secure'));
  stream.on('error', never('error'));
  stream.destroy();
  await once(stream, 'close');
});

test('destroy before connecting with a key, and twice', async () => {
  const stream = tls.connect(1, '127.0.0.1', identity(), never('secure'));
  stream.on('error', never('error'));
  stream.destroy();
  stream.destroy();
  let closed = 0;
  stream.on('close', () => { closed++; });
  await once(stream, 'close');
  await new Promise(setImmediate);
  assert.strictEqual(closed, 1);
});

test('destroy while the handshake waits for the server', async (t) => {
  const mute = net.createServer();
  mute.listen(0, '127.0.0.1');
  await once(mute, 'listening');
  t.after(() => mute.close());
  const stream = tls.connect(portOf(mute), '127.0.0.1', never('secure'));
  stream.on('error', never('error'));
  const [raw] = await once(mute, 'connection');
  raw.on('error', () => {});
  raw.resume();
  stream.destroy();
  await once(stream, 'close');
  await once(raw, 'close');
});

test('destroy in the callback: the server sees an end', async (t) => {
  const server = await serve(t, identity());
  const accepted = once(server, 'secureConnection');
  const stream = await connected(portOf(server));
  stream.on('error', never('error'));
  stream.destroy();
  const [cleartext] = await accepted;
  await new Promise((resolve) => cleartext.on('close', resolve)); // perhaps by a reset
});

test('end before the handshake is done ends the connection afterwards', async (t) => {
  const server = await serve(t, identity(), (s) => s.resume());
  const stream = tls.connect(portOf(server), '127.0.0.1');
  stream.end();
  await once(stream, 'close');
});

test('nobody listens on the port: one error, then close', async () => {
  const closed = net.createServer().listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const { port } = closed.address();
  await new Promise((resolve) => closed.close(resolve));
  const stream = tls.connect(port, '127.0.0.1', never('secure'));
  const events = [];
  stream.on('error', (error) => events.push(error.code));
  stream.on('close', () => events.push('close'));
  await once(stream, 'close').catch(() => once(stream, 'close'));
  assert.deepStrictEqual(events, ['ECONNREFUSED', 'close']);
});
