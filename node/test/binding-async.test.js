'use strict';
// What asynchronous context the binding calls back in (AsyncLocalStorage, async_hooks).

const assert = require('node:assert');
const { AsyncLocalStorage, createHook, executionAsyncId, executionAsyncResource } =
  require('node:async_hooks');
const { test } = require('node:test');
const { keys } = require('./support/keys');
const { binding, once, serve, connect, stop } = require('./support/native');

const { ca, server: identity } = keys();
const forServer = new binding.Context({ identities: [identity] });
const forClient = new binding.Context({ ca: [ca] });

test('streams run in what made them, connections in what made their server', async (t) => {
  const storage = new AsyncLocalStorage();
  const seen = [];
  const note = (what) => seen.push(`${what} ${storage.getStore()}`);
  const gone = (stream, what) => new Promise((resolve) => {
    stream.onclose = () => {
      note(`${what} onclose`);
      resolve();
    };
  });
  let peerGone;
  const server = storage.run('of the server', () => serve(forServer, {
    onconnection: (stream) => {
      note('onconnection');
      stream.onend = () => stream.end();
      stream.readStart();
      peerGone = gone(stream, 'peer');
    },
  }));
  t.after(() => stop(server));
  const client = await storage.run('of the client', () => connect(server.port, forClient));
  const clientGone = gone(client, 'client');
  client.onsecure = () => {
    note('onsecure');
    client.end();
    client.readStart();
  };
  await clientGone;
  await peerGone;
  assert.deepStrictEqual(seen.sort(), ['client onclose of the client',
    'onconnection of the server', 'onsecure of the client', 'peer onclose of the server']);
});

test('what one connection enters is not entered for another', async (t) => {
  const storage = new AsyncLocalStorage();
  const before = [];
  const server = serve(forServer, {
    onconnection: (stream) => {
      before.push(storage.getStore());
      storage.enterWith('mine');
      stream.onend = () => {
        assert.strictEqual(storage.getStore(), 'mine');
        stream.end();
      };
      stream.readStart();
    },
  });
  t.after(() => stop(server));
  for (let i = 0; i < 3; i++) {
    const client = await connect(server.port, forClient);
    await once(client, 'onsecure');
    const ended = once(client, 'onend');
    client.readStart();
    client.end();
    await ended;
  }
  assert.deepStrictEqual(before, [undefined, undefined, undefined]);
});

test('each stream has an id, until it is gone', async (t) => {
  const alive = new Map();
  const hook = createHook({
    init: (id, type) => { if (/^TLS(SERVER)?WRAP$/.test(type)) alive.set(id, type); },
    destroy: (id) => alive.delete(id),
  }).enable();
  t.after(() => hook.disable());
  let id;
  let resource;
  const server = serve(forServer);
  const client = await connect(server.port, forClient);
  client.onsecure = () => {
    id = executionAsyncId();
    resource = executionAsyncResource();
    client.destroy();
  };
  await once(client, 'onclose');
  assert.strictEqual(resource, client);
  assert.ok(id > 0);
  await stop(server);
  await new Promise(setImmediate);
  assert.deepStrictEqual([...alive.keys()], []);
});
