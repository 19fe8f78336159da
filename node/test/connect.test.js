'use strict';
// tls.connect: its forms, the options it has from net.connect, and when it calls back.

const assert = require('node:assert');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { keys } = require('./support/keys');
const { tls, builtin } = require('./support/module');
const { HOST, TRANSPORTS, identity, serve, connect, connected, bytesOf } =
  require('./support/transports');

const greet = (socket) => socket.end('welcome!\n');

async function welcomed(socket) {
  assert.strictEqual(String(await bytesOf(socket)), 'welcome!\n');
  assert.ok(socket instanceof tls.TLSSocket && socket instanceof net.Socket);
}

test('connect(port, options), (port, host, options), (options), each with a callback', async (t) => {
  const { port } = await serve(t, 'native', { host: '::' }, greet);
  const options = { ca: keys().ca, servername: 'localhost' };
  for (const args of [[port, HOST, options], [{ ...options, port, host: HOST }],
                      [port, { ...options, host: HOST }]]) {
    let called = 0;
    const socket = tls.connect(...args, () => called++);
    await welcomed(socket);
    assert.strictEqual(called, 1);
  }
});

test('options given after a host win over it', async (t) => {
  const { port } = await serve(t, 'native', {}, greet);
  await welcomed(tls.connect(port, 'not.a.host.invalid',
    { host: HOST, ca: keys().ca, servername: 'localhost' }));
});

test('connect({ path }): a Unix socket', async (t) => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'securepair-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const server = tls.createServer(identity(), greet).listen(path.join(folder, 'socket'));
  t.after(() => server.close());
  await once(server, 'listening');
  assert.strictEqual(server.address(), path.join(folder, 'socket'));
  const socket = tls.connect({ path: server.address(), ca: keys().ca });
  await welcomed(socket);
});

test('a name with several addresses: each is tried', async (t) => {
  const { port } = await serve(t, 'native', {}, greet);
  const lookup = (host, options, callback) => {
    assert.strictEqual(host, 'localhost');
    const all = [{ address: '::1', family: 6 }, { address: HOST, family: 4 }];
    if (options.all) callback(null, all);
    else callback(null, HOST, 4);
  };
  await welcomed(tls.connect({ host: 'localhost', port, lookup, ca: keys().ca,
                               autoSelectFamily: true }));
});

test('nobody listens: the error of net.connect', async (t) => {
  const server = await serve(t, 'native', {});
  server.door.close();
  await once(server.door, 'close');
  const socket = connect('native', server.port);
  const [error] = await once(socket, 'error');
  assert.strictEqual(error.code, 'ECONNREFUSED');
  assert.strictEqual(error.message, `connect ECONNREFUSED ${HOST}:${server.port}`);
  assert.strictEqual(error.port, server.port);
});

test('localAddress and localPort are the socket’s', async (t) => {
  const { port } = await serve(t, 'native', {}, (socket) => socket.end(socket.remoteAddress));
  const socket = connect('native', port, { localAddress: '127.0.0.2' });
  assert.strictEqual(String(await bytesOf(socket)), '127.0.0.2');
});

test('an abort signal ends it', async (t) => {
  const { port } = await serve(t, 'native', {});
  const controller = new AbortController();
  const socket = connect('native', port, { signal: controller.signal });
  controller.abort();
  const [error] = await once(socket, 'error');
  assert.strictEqual(error.name, 'AbortError');
  assert.ok(socket.destroyed);
});

test('option timeout: the event, and nothing else', async (t) => {
  const { port } = await serve(t, 'native', {});
  const socket = connect('native', port, { timeout: 20 });
  // Where a handshake takes longer, the time-out comes first.
  await Promise.all([once(socket, 'secureConnect'), once(socket, 'timeout')]);
  assert.ok(!socket.destroyed);
  socket.destroy();
});

test('option onread: bytes come in the program’s buffer, and stop when it says so', async (t) => {
  const { port } = await serve(t, 'native', {}, (socket) => socket.end('0123456789'.repeat(100)));
  const buffer = Buffer.alloc(64);
  let text = '';
  let stops = 0;
  const socket = connect('native', port, {
    onread: {
      buffer,
      callback(n, filled) {
        assert.strictEqual(filled, buffer);
        text += filled.toString('latin1', 0, n);
        if (text.length !== 640) return true;
        stops++;
        socket.pause();
        setImmediate(() => socket.resume());
        return false;
      },
    },
  });
  await once(socket, 'end');
  assert.strictEqual(text, '0123456789'.repeat(100));
  assert.strictEqual(stops, 1);
});

for (const transport of TRANSPORTS) {
  test(`the order of events, ${transport}`, async (t) => {
    const { port } = await serve(t, transport, {}, greet);
    const socket = connect(transport, port);
    const seen = [];
    for (const name of ['connect', 'ready', 'secure', 'secureConnect', 'end', 'close'])
      socket.on(name, () => seen.push(name));
    socket.resume();
    await once(socket, 'close');
    const expected = ['secureConnect', 'secure', 'end', 'close'];
    assert.deepStrictEqual(seen.filter((name) => expected.includes(name)), expected);
    if (transport === 'native') assert.deepStrictEqual(seen.slice(0, 2), ['connect', 'ready']);
  });

  test(`what is written before it is secure arrives in order, ${transport}`, async (t) => {
    const { port } = await serve(t, transport, {}, (socket) => socket.pipe(socket));
    const socket = connect(transport, port);
    const done = [];
    for (const part of ['one ', 'two ', 'three'])
      socket.write(part, () => done.push(part));
    socket.end();
    assert.strictEqual(String(await bytesOf(socket)), 'one two three');
    assert.deepStrictEqual(done, ['one ', 'two ', 'three']);
  });

  test(`nothing that was written reaches a server that is refused, ${transport}`, {
    skip: builtin && 'the built-in sends it',
  }, async (t) => {
    const { port } = await serve(t, transport, { allowHalfOpen: true }, (socket) => {
      socket.on('data', () => assert.fail('the refused server got data'));
      socket.on('end', () => socket.end());
    });
    const socket = connect(transport, port, { checkServerIdentity: () => new Error('not you') });
    let failed;
    socket.write('secret', (error) => { failed = error; });
    const [error] = await once(socket, 'error');
    assert.strictEqual(error.message, 'not you');
    await once(socket, 'close');
    assert.ok(failed);
    assert.strictEqual(socket.authorized, false);
  });
}

test('wrong credentials throw from connect()', () => {
  const { key, cert } = keys().server;
  assert.throws(() => tls.connect({ port: 1, key, cert: keys().client.cert }));
  assert.throws(() => tls.connect({ port: 1, key: 'junk', cert }));
  assert.throws(() => tls.connect({ port: 1, key: 5, cert }), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => tls.connect({}), { code: 'ERR_MISSING_ARGS' });
});

test('a secureContext made before is taken', async (t) => {
  const { port } = await serve(t, 'native', {}, greet);
  const secureContext = tls.createSecureContext({ ca: keys().ca });
  await welcomed(connect('native', port, { ca: undefined, secureContext }));
});

test('a context that is none throws', () => {
  assert.throws(() => tls.connect({ port: 1, secureContext: { context: {} } }),
    { code: 'ERR_TLS_INVALID_CONTEXT' });
});

test('minDHSize, and what is not one', () => {
  assert.throws(() => tls.connect({ port: 1, minDHSize: -1 }));
  assert.throws(() => tls.connect({ port: 1, minDHSize: 'x' }));
});

test('new TLSSocket().connect(): an unconnected socket becomes secure', async (t) => {
  const { port } = await serve(t, 'native', {}, greet);
  const socket = new tls.TLSSocket(undefined, { ca: keys().ca });
  socket.connect(port, HOST);
  if (builtin) socket.once('connect', () => socket._start());
  await welcomed(socket);
});

test('the same socket connects once more: nothing of before counts', {
  skip: builtin && 'the built-in cannot',
}, async (t) => {
  const { port } = await serve(t, 'native', {}, greet);
  const socket = connect('native', port);
  await welcomed(socket);
  if (socket._handle) await once(socket, 'close');
  socket.connect(port, HOST);
  assert.strictEqual(socket.secureConnecting, true);
  assert.strictEqual(socket.authorized, false);
  await welcomed(socket);
  assert.strictEqual(socket.authorized, true);
});

test('an address that is no server name is checked, and not asked for', async (t) => {
  const { port } = await serve(t, 'native', {}, (socket) => socket.end(`${socket.servername}`));
  const socket = tls.connect({ port, host: HOST, ca: keys().ca });
  assert.strictEqual(String(await bytesOf(socket)), 'false');
  assert.strictEqual(socket.authorized, true);
});

test('ref() and unref() are as a net.Socket’s', async (t) => {
  const { port } = await serve(t, 'native', {}, () => {});
  const socket = await connected('native', port);
  assert.strictEqual(socket.unref(), socket);
  assert.strictEqual(socket.ref(), socket);
  socket.destroy();
  await once(socket, 'close');
});
