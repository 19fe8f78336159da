'use strict';
// tls.Server: how it is made, where it listens, how it counts and how it closes.

const assert = require('node:assert');
const { once } = require('node:events');
const net = require('node:net');
const path = require('node:path');
const { test } = require('node:test');
const { tls, keys, identity, serve, shut, portOf, connected, text } = require('./support/old');

/** A good client is served. */
async function answers(port, host = '127.0.0.1') {
  const stream = tls.connect(port, host, { ca: [keys().ca] });
  return text(stream);
}

test('new or not, with and without options and listener', () => {
  const listener = () => {};
  const all = [tls.createServer(identity(), listener), tls.createServer(listener),
               tls.createServer(), tls.Server(identity()), new tls.Server(identity(), listener)];
  for (const server of all) {
    assert.ok(server instanceof tls.Server);
    assert.ok(server instanceof net.Server);
    for (const method of ['listen', 'close', 'address', 'addContext', 'setOptions'])
      assert.strictEqual(typeof server[method], 'function', method);
    assert.strictEqual(server.connections, 0);
  }
  assert.strictEqual(all[0].listenerCount('secureConnection'), 1);
  assert.strictEqual(all[1].listenerCount('secureConnection'), 1);
  assert.strictEqual(all[4].listenerCount('secureConnection'), 1);
});

test('secureConnection brings cleartext and encrypted; many listeners may have it', async (t) => {
  const server = await serve(t, identity());
  const seen = [];
  server.on('secureConnection', (...all) => seen.push(all));
  server.addListener('secureConnection', (s) => s.end('hello'));
  assert.strictEqual(await answers(portOf(server)), 'hello');
  assert.strictEqual(seen.length, 1);
  assert.strictEqual(seen[0].length, 2);
  assert.strictEqual(seen[0][0].encrypted, seen[0][1]);
  assert.strictEqual(seen[0][0].server, server);
});

test('listen(port, callback): any IPv4 address', async (t) => {
  const server = tls.createServer(identity(), (s) => s.end('hello'));
  await new Promise((resolve) => server.listen(0, resolve));
  t.after(() => shut(server));
  assert.strictEqual(server.address().address, '0.0.0.0');
  assert.strictEqual(await answers(portOf(server)), 'hello');
  assert.strictEqual(await answers(portOf(server), 'localhost'), 'hello');
});

test('listen(port, host, callback)', async (t) => {
  const server = tls.createServer(identity(), (s) => s.end('hello'));
  await new Promise((resolve) => server.listen(0, 'localhost', resolve));
  t.after(() => shut(server));
  assert.strictEqual(await answers(portOf(server), server.address().address), 'hello');
});

test('listen(path)', async (t) => {
  const at = path.join(keys().folder, 'listen.sock');
  const server = tls.createServer(identity(), (s) => s.end('hello'));
  assert.strictEqual(server.listen(at), server);
  await once(server, 'listening');
  t.after(() => shut(server));
  assert.strictEqual(server.address(), at);
  const stream = tls.connect(at, () => assert.strictEqual(stream.authorized, false));
  assert.strictEqual(await text(stream), 'hello');
});

test('a port that is taken is an error event', async (t) => {
  const server = await serve(t, identity());
  const second = tls.createServer(identity()).listen(portOf(server), '127.0.0.1');
  const [error] = await once(second, 'error');
  assert.strictEqual(error.code, 'EADDRINUSE');
});

test('close: no one else comes in, close after the last one has gone', async (t) => {
  const server = await serve(t, identity());
  const accepted = once(server, 'secureConnection');
  const port = portOf(server);
  const stream = await connected(port);
  const [cleartext] = await accepted;
  let closed = false;
  server.close();
  server.on('close', () => { closed = true; });
  const late = tls.connect(port, '127.0.0.1');
  const [error] = await once(late, 'error');
  assert.strictEqual(error.code, 'ECONNREFUSED');
  assert.strictEqual(closed, false);
  cleartext.write('still here');
  assert.strictEqual(String((await once(stream, 'data'))[0]), 'still here');
  stream.end();
  await once(server, 'close');
});

test('connections counts the living', async (t) => {
  const server = await serve(t, identity());
  const streams = [];
  for (let i = 1; i <= 3; i++) {
    const accepted = once(server, 'secureConnection');
    streams.push(await connected(portOf(server)));
    await accepted;
    assert.strictEqual(server.connections, i);
  }
  for (const stream of streams) stream.end();
  await shut(server);
  assert.strictEqual(server.connections, 0);
});

test('maxConnections: one more is closed at once', async (t) => {
  const server = await serve(t, identity(), (s) => s.write('in'));
  server.maxConnections = 2;
  const first = await connected(portOf(server));
  const second = await connected(portOf(server));
  for (let i = 0; i < 20; i++) {
    const third = tls.connect(portOf(server), '127.0.0.1', () => assert.fail('secure'));
    third.on('error', () => {});
    await new Promise((resolve) => third.on('close', resolve));
  }
  assert.strictEqual(server.connections, 2);
  first.end();
  await once(first, 'close');
  while (server.connections > 1) await new Promise(setImmediate);
  const fourth = await connected(portOf(server));
  for (const stream of [second, fourth]) stream.destroy();
});

test('setOptions changes what comes next', async (t) => {
  const server = await serve(t, identity('selfSigned'), (s) => s.end('hello'));
  server.setOptions(identity());
  const stream = await connected(portOf(server));
  assert.strictEqual(stream.authorized, true);
  stream.destroy();
});

test('addContext answers to a name with another certificate', async (t) => {
  const server = await serve(t, identity(), (s) => s.end('hello'));
  server.addContext('a.example', tls.createCredentials(identity('a')));
  const stream = await connected(portOf(server), { ca: [keys().ca], servername: 'a.example' });
  assert.strictEqual(stream.authorized, true);
  assert.strictEqual(stream.getPeerCertificate().subject.CN, 'a.example');
  stream.destroy();
});

test('a client without a certificate is refused without an event', async (t) => {
  const options = { ...identity(), ca: [keys().ca], requestCert: true, rejectUnauthorized: true };
  const server = await serve(t, options, () => assert.fail('secureConnection'));
  server.on('error', () => assert.fail('error'));
  const stream = tls.connect(portOf(server), '127.0.0.1');
  stream.on('error', () => {});
  await new Promise((resolve) => stream.on('close', resolve));
});
