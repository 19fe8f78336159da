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
