'use strict';
// tls.Server: listening in every form, handing out sockets, counting and closing.

const assert = require('node:assert');
const { execFile, spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { promisify } = require('node:util');
const { keys } = require('./support/keys');
const { tls, file, builtin } = require('./support/module');
const { HOST, TRANSPORTS, identity, serve, connect, connected, bytesOf, watch } =
  require('./support/transports');

const run = promisify(execFile);

function folderFor(t) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'securepair-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  return folder;
}

async function listening(t, ...args) {
  const server = tls.createServer(identity(), (socket) => socket.end('hello'));
  t.after(() => server.listening && server.close());
  assert.strictEqual(server.listen(...args), server);
  await once(server, 'listening');
  return server;
}

async function hello(options) {
  const socket = tls.connect({ ca: keys().ca, servername: 'localhost', ...options });
  assert.strictEqual(String(await bytesOf(socket)), 'hello');
}

// Node 18 tries only the first address of localhost.
require('node:dns').setDefaultResultOrder('ipv4first');

// -- listen() -------------------------------------------------------------------------------------

const FORMS = {
  'listen()': [],
  'listen(port)': [0],
  'listen(port, host)': [0, HOST],
  'listen(port, host, backlog)': [0, HOST, 5],
  'listen(port, backlog)': [0, 5],
  'listen({ port, host })': [{ port: 0, host: HOST }],
  'listen({ port, host: "localhost" })': [{ port: 0, host: 'localhost' }],
};

for (const [name, args] of Object.entries(FORMS)) {
  test(name, async (t) => {
    let called = 0;
    const server = await listening(t, ...args, () => called++);
    assert.strictEqual(called, 1);
    const { address, family, port } = server.address();
    assert.ok(port > 0);
    assert.strictEqual(family, net.isIPv6(address) ? 'IPv6' : 'IPv4');
    assert.ok(server.listening);
    await hello({ host: HOST, port });
  });
}

test('listen() without a host takes IPv6 and IPv4', async (t) => {
  const server = await listening(t, 0);
  const { address, port } = server.address();
  await hello({ host: HOST, port });
  if (address === '::') await hello({ host: '::1', port });
});

test('listen({ ipv6Only }) takes no IPv4', async (t) => {
  const server = await listening(t, { port: 0, host: '::1', ipv6Only: true });
  await hello({ host: '::1', port: server.address().port });
});

test('listen(path) and listen({ path, readableAll, writableAll })', async (t) => {
  const folder = folderFor(t);
  const server = await listening(t, path.join(folder, 'a'));
  assert.strictEqual(server.address(), path.join(folder, 'a'));
  await hello({ path: server.address() });
  const open = await listening(t, { path: path.join(folder, 'b'), readableAll: true,
                                    writableAll: true });
  assert.strictEqual(fs.statSync(open.address()).mode & 0o666, 0o666);
  await hello({ path: open.address() });
  server.close();
  await once(server, 'close');
  assert.ok(!fs.existsSync(path.join(folder, 'a')));
});

test('listen({ fd }): a descriptor that listens already', async () => {
  const door = net.createServer().listen(0, HOST);
  await once(door, 'listening');
  const { port } = door.address();
  const { server: { keyPath, certPath } } = keys();
  const script = `
    const fs = require('fs');
    const server = require(${JSON.stringify(file)}).createServer({
      key: fs.readFileSync('${keyPath}'), cert: fs.readFileSync('${certPath}'),
    }, (socket) => {
      socket.end('hello');
      server.close();
    }).listen({ fd: 3 });`;
  const child = spawn(process.execPath, ['-e', script],
    { stdio: ['ignore', 'inherit', 'inherit', door._handle.fd] });
  const ended = once(child, 'exit');
  door.close(); // ours; the child's stays open
  await hello({ host: HOST, port });
  assert.deepStrictEqual(await ended, [0, null]);
});

test('listen() again throws; close() when it does not listen says so', async (t) => {
  const server = await listening(t, 0, HOST);
  assert.throws(() => server.listen(0), { code: 'ERR_SERVER_ALREADY_LISTEN' });
  server.close();
  await once(server, 'close');
  const error = await new Promise((resolve) => server.close(resolve));
  assert.strictEqual(error.code, 'ERR_SERVER_NOT_RUNNING');
  await new Promise((resolve) => server.listen(0, HOST, resolve));
  await hello({ host: HOST, port: server.address().port });
});

test('a port that is taken: Node’s words', async (t) => {
  for (const host of [undefined, HOST]) {
    const first = await listening(t, 0, host);
    const { port, address } = first.address();
    const second = tls.createServer(identity());
    second.listen(port, host);
    const [error] = await once(second, 'error');
    const { message, ...rest } = error;
    assert.strictEqual(message, `listen EADDRINUSE: address already in use ${address}:${port}`);
    assert.deepStrictEqual({ ...rest }, { code: 'EADDRINUSE', errno: -98, syscall: 'listen',
                                          address, port });
    assert.strictEqual(second.listening, false);
  }
});

test('an address that is not ours, a path that cannot be', async () => {
  const server = tls.createServer(identity());
  server.listen(0, '192.0.2.1');
  const [error] = await once(server, 'error');
  assert.strictEqual(error.message, 'listen EADDRNOTAVAIL: address not available 192.0.2.1');
  server.listen('/nonexistent/folder/socket');
  const [other] = await once(server, 'error');
  assert.ok(['EACCES', 'ENOENT'].includes(other.code), other.code);
});

test('an abort signal closes it', async (t) => {
  const controller = new AbortController();
  const server = await listening(t, { port: 0, host: HOST, signal: controller.signal });
  controller.abort();
  await once(server, 'close');
});

// -- construction ---------------------------------------------------------------------------------

test('Server without new, instances, options that are none', () => {
  const server = tls.Server(identity());
  assert.ok(server instanceof tls.Server && server instanceof net.Server);
  assert.throws(() => tls.createServer('no'), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => tls.createServer({ handshakeTimeout: 'soon' }),
    { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => tls.createServer({ SNICallback: 5 }), { code: 'ERR_INVALID_ARG_TYPE' });
  let heard = 0;
  tls.createServer(() => heard++).emit('secureConnection');
  assert.strictEqual(heard, 1);
});

// -- connections ----------------------------------------------------------------------------------

for (const transport of TRANSPORTS) {
  test(`a socket that is handed out is secure and knows its server, ${transport}`, async (t) => {
    const server = await serve(t, transport, {});
    const client = connect(transport, server.port);
    const [socket] = await once(server, 'secureConnection');
    assert.ok(socket instanceof tls.TLSSocket);
    assert.strictEqual(socket.server, server);
    assert.strictEqual(socket.encrypted, true);
    assert.strictEqual(socket.secureConnecting, false);
    assert.strictEqual(socket.authorized, false);
    assert.strictEqual(socket.authorizationError, null);
    assert.strictEqual(socket.readyState, 'open');
    client.destroy();
  });

  test(`pauseOnConnect: no data until resume(), ${transport}`, async (t) => {
    const server = await serve(t, transport, { pauseOnConnect: true });
    const accepted = once(server, 'secureConnection');
    const client = await connected(transport, server.port);
    client.end('late');
    const [socket] = await accepted;
    assert.strictEqual(socket.isPaused(), true);
    const text = [];
    socket.on('data', (data) => text.push(data));
    await new Promise(setImmediate);
    assert.deepStrictEqual(text, []);
    socket.resume();
    await once(socket, 'end');
    assert.strictEqual(String(Buffer.concat(text)), 'late');
  });

  test(`an error of a socket that nobody has yet ends nothing, ${transport}`, async (t) => {
    const server = await serve(t, transport, {});
    const raw = net.connect(server.port, HOST);
    raw.on('error', () => {});
    raw.write(Buffer.from([22, 3, 1, 2, 0]));
    raw.resetAndDestroy();
    await once(raw, 'close');
    const client = await connected(transport, server.port);
    client.destroy();
  });

  test(`handshakeTimeout closes the connection and tells, ${transport}`, {
    skip: builtin && 'the built-in leaves it open',
  }, async (t) => {
    const server = await serve(t, transport, { handshakeTimeout: 30 });
    const raw = net.connect(server.port, HOST);
    const [error, socket] = await once(server, 'tlsClientError');
    assert.strictEqual(error.code, 'ERR_TLS_HANDSHAKE_TIMEOUT');
    assert.strictEqual(error.message, 'TLS handshake timeout');
    assert.ok(socket instanceof tls.TLSSocket);
    raw.resume();
    await once(raw, 'close');
  });
}

test('tlsClientError brings a socket with its peer’s address', async (t) => {
  const server = await serve(t, 'native', {});
  const raw = net.connect(server.port, HOST);
  raw.on('error', () => {});
  await once(raw, 'connect');
  const { localPort } = raw;
  const told = new Promise((resolve) => {
    server.on('tlsClientError', (error, socket) => {
      socket.destroy(error);
      resolve([error.code, socket.remotePort, socket.destroyed]);
    });
  });
  raw.end('GET / HTTP/1.0\r\n\r\n');
  assert.deepStrictEqual(await told, ['ERR_SSL_HTTP_REQUEST', localPort, true]);
});

test('allowHalfOpen: the other side’s end leaves ours open', async (t) => {
  const server = await serve(t, 'native', { allowHalfOpen: true }, (socket) => {
    socket.on('end', () => setImmediate(() => socket.end('after'))).resume();
  });
  const client = await connected('native', server.port, { allowHalfOpen: true });
  client.end();
  assert.strictEqual(String(await bytesOf(client)), 'after');
});

test('listeners for connection get raw sockets, and TLS goes on above them', async (t) => {
  const server = await serve(t, 'native', {}, (socket) => socket.end(`${socket.remotePort}`));
  const raws = [];
  server.on('connection', (raw) => raws.push(raw));
  await new Promise(setImmediate);
  const client = connect('native', server.port);
  const text = String(await bytesOf(client));
  assert.strictEqual(raws.length, 1);
  assert.ok(raws[0] instanceof net.Socket && !raws[0].encrypted);
  assert.strictEqual(text, `${raws[0].remotePort}`);
});

test('getConnections, maxConnections and drop', async (t) => {
  const server = await serve(t, 'native', {});
  server.maxConnections = 1;
  const count = promisify(server.getConnections.bind(server));
  assert.strictEqual(await count(), 0);
  const accepted = once(server, 'secureConnection');
  const first = await connected('native', server.port);
  await accepted;
  assert.strictEqual(await count(), 1);
  const dropped = once(server, 'drop');
  const second = connect('native', server.port);
  const { closed } = watch(second);
  const [data] = await dropped;
  assert.strictEqual(data.localPort, server.port);
  await closed;
  first.destroy();
  await once(first, 'close');
});

test('close() waits for the last connection', async (t) => {
  const server = await serve(t, 'native', {});
  const accepted = once(server, 'secureConnection');
  const client = await connected('native', server.port);
  const [socket] = await accepted;
  let closed = false;
  server.close(() => { closed = true; });
  await new Promise(setImmediate);
  assert.strictEqual(closed, false);
  assert.strictEqual(server.listening, false);
  client.end();
  socket.resume();
  client.resume();
  await once(server, 'close');
  assert.strictEqual(closed, true);
});

test('unref(): an open server keeps no process alive', async () => {
  const script = `
    const tls = require(${JSON.stringify(file)});
    tls.createServer().listen(0).unref();`;
  await run(process.execPath, ['-e', script]);
});

test('keylog brings the socket; a good client’s lines are the same', async (t) => {
  const server = await serve(t, 'native', {});
  const lines = new Set();
  server.on('keylog', (line, socket) => {
    assert.ok(socket instanceof tls.TLSSocket);
    assert.strictEqual(socket.server, server);
    lines.add(`${line}`);
  });
  await new Promise(setImmediate);
  const client = connect('native', server.port);
  const own = [];
  client.on('keylog', (line) => own.push(`${line}`));
  await once(client, 'secureConnect');
  assert.ok(own.length >= 4);
  for (const line of own) assert.ok(line.endsWith('\n'));
  assert.ok(own.some((line) => lines.has(line)));
  client.destroy();
});

test('setSecureContext: new connections get it, live ones go on', async (t) => {
  const server = await serve(t, 'native', {}, (socket) => socket.pipe(socket));
  const before = await connected('native', server.port);
  const { key, cert } = keys().serverRsa;
  server.setSecureContext({ key, cert });
  const after = await connected('native', server.port);
  assert.ok(before.getPeerCertificate().asn1Curve);
  assert.strictEqual(after.getPeerCertificate().bits, 2048);
  before.end('still here');
  assert.strictEqual(String(await bytesOf(before)), 'still here');
  after.destroy();
  assert.throws(() => server.setSecureContext({ key: 'junk', cert }));
  assert.throws(() => server.setSecureContext(null), { code: 'ERR_INVALID_ARG_TYPE' });
  const still = await connected('native', server.port);
  assert.strictEqual(still.getPeerCertificate().bits, 2048);
  still.destroy();
});

test('captureRejections: a listener that rejects ends its connection', async (t) => {
  const server = await serve(t, 'native', { });
  const { port } = server;
  server[Symbol.for('nodejs.rejection')](new Error('no'), 'secureConnection', { destroy() {} });
  (await connected('native', port)).destroy();
});

test('a cluster’s workers serve one port', async () => {
  const { server: { keyPath, certPath }, caPath } = keys();
  const { stdout } = await run(process.execPath,
    [path.join(__dirname, 'support', 'cluster.js'), file, keyPath, certPath, caPath]);
  assert.strictEqual(stdout, '4 connections, 2 workers, 1 set of ticket keys\n');
});

test('a client that leaves at once is no error of the server’s that ends', async () => {
  const wrong = [];
  const server = tls.createServer(identity(), (socket) => {
    socket.on('error', (error) => wrong.push(error.code));
    socket.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  for (let i = 0; i < 50; i++) {
    const socket = tls.connect({ port, host: '127.0.0.1', ca: keys().ca }, () => socket.destroy());
    await once(socket, 'close');
  }
  server.close();
  await once(server, 'close');
  assert.deepStrictEqual(wrong, []);
});
