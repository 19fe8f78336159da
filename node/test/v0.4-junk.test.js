'use strict';
// Peers that do not speak TLS: they are closed without harm, and the server goes on.

const assert = require('node:assert');
const { once } = require('node:events');
const net = require('node:net');
const { test } = require('node:test');
const { tls, identity, serve, portOf, connected, text } = require('./support/old');

const JUNK = {
  'plain HTTP': Buffer.from('GET / HTTP/1.0\r\n\r\n'),
  '64 times 0xff': Buffer.alloc(64, 0xff),
  'nothing at all': Buffer.alloc(0),
  'two bytes of a header': Buffer.from([22, 3]),
  'a record that is too long': Buffer.from([22, 3, 1, 0xff, 0xff, 1]),
  'zeros': Buffer.alloc(1000),
};

/** Sends `bytes` and its end; resolves when the other side closed. */
function throwAt(port, bytes) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.end(bytes));
    socket.resume();
    socket.on('error', () => {});
    socket.on('close', resolve);
  });
}

for (const [name, bytes] of Object.entries(JUNK)) {
  test(`a server, and ${name}`, async (t) => {
    const server = await serve(t, identity(), (s) => s.end('fine'));
    server.on('error', () => assert.fail('error'));
    await throwAt(portOf(server), bytes);
    const stream = await connected(portOf(server));
    assert.strictEqual(await text(stream), 'fine');
  });
}

test('junk that keeps its connection open is closed', async (t) => {
  const server = await serve(t, identity());
  const socket = net.connect(portOf(server), '127.0.0.1');
  socket.on('error', () => {});
  socket.write(JUNK['plain HTTP']);
  socket.resume();
  await once(socket, 'close');
});

test('a client whose server speaks no TLS: one error, one close, no callback', async (t) => {
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.end('220 this is mail\r\n');
    socket.resume();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const events = [];
  const stream = tls.connect(portOf(server), '127.0.0.1', () => events.push('secure'));
  stream.on('error', (error) => events.push(error.code));
  await new Promise((resolve) => stream.on('close', resolve));
  assert.deepStrictEqual(events, ['ERR_SSL_WRONG_VERSION_NUMBER']);
});

test('a server without options listens, and fails each handshake without harm', async (t) => {
  const server = await serve(t, undefined, () => assert.fail('secureConnection'));
  for (let i = 0; i < 2; i++) {
    const stream = tls.connect(portOf(server), '127.0.0.1', () => assert.fail('secure'));
    const [error] = await once(stream, 'error');
    assert.strictEqual(error.code, 'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE');
  }
  assert.strictEqual(server.listening, true);
});

test('a reset during the handshake is nobody\'s business', async (t) => {
  const server = await serve(t, identity(), (s) => s.end('fine'));
  const socket = net.connect(portOf(server), '127.0.0.1', () => {
    socket.write(Buffer.from([22, 3, 1]));
    socket.resetAndDestroy();
  });
  await once(socket, 'close');
  assert.strictEqual(await text(await connected(portOf(server))), 'fine');
});
