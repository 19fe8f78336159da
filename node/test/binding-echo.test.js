'use strict';
// The binding by itself: a server, a client, bytes both ways.

const assert = require('node:assert');
const crypto = require('node:crypto');
const { test } = require('node:test');
const { keys } = require('./support/keys');
const { binding, once, serve, connect, collect, stop } = require('./support/native');

const { ca, server: identity } = keys();

function contexts(more = {}) {
  return {
    forServer: new binding.Context({ identities: [identity], ...more }),
    forClient: new binding.Context({ ca: [ca], ...more }),
  };
}

function echo(stream) {
  stream.ondata = (slab, offset, size) => {
    if (stream.write(slab.subarray(offset, offset + size)) === 0) stream.readStop();
  };
  stream.onwrite = () => stream.readStart();
  stream.onend = () => stream.end();
  stream.readStart();
}

for (const version of [0x0303, 0x0304]) {
  test(`an echo, version ${version.toString(16)}`, async () => {
    const { forServer, forClient } = contexts({ minVersion: version, maxVersion: version });
    const server = serve(forServer, { onconnection: echo });
    const client = await connect(server.port, forClient);
    assert.deepStrictEqual(await once(client, 'onsecure'), [0]);
    assert.strictEqual(client.isAuthorized(), true);
    const received = collect(client);
    assert.strictEqual(client.write(Buffer.from('hello')), 1);
    client.end();
    assert.strictEqual((await received).toString(), 'hello');
    await stop(server);
  });
}

test('a write that is done is sent, though its stream is destroyed', async () => {
  const { forServer, forClient } = contexts();
  const server = serve(forServer, {
    onconnection: (stream) => setImmediate(() => {
      assert.strictEqual(stream.write(Buffer.from('last words')), 1);
      stream.destroy();
    }),
  });
  const client = await connect(server.port, forClient);
  await once(client, 'onsecure');
  const received = once(client, 'ondata');
  client.readStart();
  const [slab, offset, size] = await received;
  assert.strictEqual(slab.toString('latin1', offset, offset + size), 'last words');
  await stop(server);
});

test('a pipe in C, with its end or without', async () => {
  for (const end of [true, false]) {
    const { forServer, forClient } = contexts();
    const server = serve(forServer, {
      onconnection: (stream) => {
        stream.onend = () => stream.end();
        assert.strictEqual(stream.server, server);
        assert.strictEqual(stream.pipe(stream, end), 0);
        assert.ok(stream.pipe(stream, end) < 0);
      },
    });
    const client = await connect(server.port, forClient);
    await once(client, 'onsecure');
    const sent = crypto.randomBytes(1 << 20);
    const received = collect(client);
    if (client.write(sent) === 0) await once(client, 'onwrite');
    const ended = once(client, 'onended');
    client.end();
    await ended;
    assert.ok((await received).equals(sent));
    await stop(server);
  }
});

test('an end after one that a pipe had passed on', async () => {
  const { forServer, forClient } = contexts();
  let meet;
  const met = new Promise((resolve) => { meet = resolve; });
  const server = serve(forServer, { onconnection: meet });
  const client = await connect(server.port, forClient);
  const [, stream] = await Promise.all([once(client, 'onsecure'), met]);
  const other = await connect(server.port, forClient);
  await once(other, 'onsecure');
  client.pipe(other, true);
  const passed = once(client, 'onend');
  stream.end();
  await passed;
  const ended = once(other, 'onended');
  assert.strictEqual(other.end(), 0);
  await ended;
  await stop(server);
  client.destroy();
  other.destroy();
});

test('addresses and descriptors', async () => {
  const { forServer, forClient } = contexts();
  const server = serve(forServer);
  assert.ok(server.fd > 2);
  const client = await connect(server.port, forClient);
  await once(client, 'onsecure');
  const [local, remote] = [{}, {}];
  assert.strictEqual(client.getsockname(local), 0);
  assert.strictEqual(client.getpeername(remote), 0);
  assert.deepStrictEqual(remote, { address: '127.0.0.1', family: 'IPv4', port: server.port });
  assert.strictEqual(local.address, '127.0.0.1');
  assert.ok(client.fd > 2);
  assert.strictEqual(client.setNoDelay(true), 0);
  assert.strictEqual(client.setKeepAlive(true, 0), 0);
  assert.strictEqual(client.setKeepAlive(true, 5), 0);
  assert.strictEqual(client.setKeepAlive(false, 0), 0);
  await stop(server);
  assert.strictEqual(server.fd, -1);
  client.destroy();
});

test('ten megabytes there and back', async () => {
  const { forServer, forClient } = contexts();
  const server = serve(forServer, { onconnection: echo });
  const client = await connect(server.port, forClient);
  await once(client, 'onsecure');
  const sent = crypto.randomBytes(10 << 20);
  const received = collect(client);
  if (client.write(sent) === 0) assert.deepStrictEqual(await once(client, 'onwrite'), [0]);
  assert.strictEqual(client.end(), 0);
  assert.ok((await received).equals(sent));
  assert.strictEqual(client.bytesRead, sent.length);
  assert.strictEqual(client.bytesWritten, sent.length);
  await stop(server);
});
