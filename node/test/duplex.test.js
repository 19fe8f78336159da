'use strict';
// TLS over a stream of the program's: who takes, ends and destroys whom.

const assert = require('node:assert');
const { once } = require('node:events');
const net = require('node:net');
const { Duplex } = require('node:stream');
const { test } = require('node:test');
const { keys } = require('./support/keys');
const { tls, builtin } = require('./support/module');
const { HOST, identity, serve, connect, connected, bytesOf } = require('./support/transports');

const options = () => ({ ca: keys().ca, servername: 'localhost' });

/** Two ends of a pipe in memory that hold little, so that back-pressure shows. */
function memory({ highWaterMark = 1024 } = {}) {
  const ends = [0, 1].map((index) => new Duplex({
    highWaterMark,
    read() {
      const go = this.waiting;
      this.waiting = null;
      if (go) go();
    },
    write(chunk, encoding, callback) {
      const other = ends[1 - index];
      if (other.push(chunk)) callback();
      else other.waiting = callback;
    },
    final(callback) {
      ends[1 - index].push(null);
      callback();
    },
  }));
  return ends;
}

/** Both roles over `ends`: [client, server's socket], secure. */
async function over(ends, more) {
  const server = tls.createServer({ ...identity(), ...more });
  const accepted = once(server, 'secureConnection');
  server.emit('connection', ends[1]);
  const client = tls.connect({ socket: ends[0], ...options(), ...more });
  await once(client, 'secureConnect');
  const [socket] = await accepted;
  return [client, socket];
}

test('in memory, 2 MB each way with back-pressure', async () => {
  const [client, socket] = await over(memory());
  assert.ok(client.authorized);
  const sent = Buffer.alloc(2 << 20, 'there and back ');
  socket.pipe(socket);
  client.end(sent);
  assert.ok((await bytesOf(client)).equals(sent));
});

test('the socket option: a net.Socket that is connected, and one that connects', async (t) => {
  const { port } = await serve(t, 'native', {}, (socket) => socket.end('hello'));
  for (const wait of [true, false]) {
    const raw = net.connect(port, HOST);
    if (wait) await once(raw, 'connect');
    const socket = tls.connect({ socket: raw, ...options() });
    const closed = once(socket, 'close');
    socket.on('secureConnect', () => {
      assert.strictEqual(socket.remotePort, port);
      assert.strictEqual(socket.remoteAddress, HOST);
    });
    assert.strictEqual(String(await bytesOf(socket)), 'hello');
    await closed;
    assert.ok(raw.destroyed);
  }
});

test('listeners of the protocol before see no ciphertext', async (t) => {
  const server = net.createServer((raw) => {
    raw.write('ready\n');
    raw.once('data', (line) => {
      assert.strictEqual(String(line), 'STARTTLS\n');
      raw.write('go\n', () => {
        const socket = new tls.TLSSocket(raw, { isServer: true, ...identity() });
        socket.pipe(socket);
      });
    });
  }).listen(0, HOST);
  await once(server, 'listening');
  t.after(() => server.close());
  const raw = net.connect(server.address().port, HOST);
  const heard = [];
  const ready = new Promise((resolve) => {
    raw.setEncoding('utf8');
    raw.on('data', (text) => {
      heard.push(text);
      if (text === 'ready\n') raw.write('STARTTLS\n');
      if (text === 'go\n') resolve();
    });
  });
  await ready;
  const socket = tls.connect({ socket: raw, ...options() });
  socket.end('secret');
  assert.strictEqual(String(await bytesOf(socket)), 'secret');
  assert.deepStrictEqual(heard, ['ready\n', 'go\n']);
});

test('TLS in TLS in TLS', async (t) => {
  const inner = await serve(t, 'native', {}, (socket) => socket.pipe(socket));
  const middle = await serve(t, 'native', {}, (socket) => inner.emit('connection', socket));
  const outer = await serve(t, 'native', {}, (socket) => middle.emit('connection', socket));
  let socket = await connected('native', outer.port);
  for (let i = 0; i < 2; i++) {
    socket = tls.connect({ socket, ...options() });
    await once(socket, 'secureConnect');
  }
  const sent = Buffer.alloc(200000, 'onion');
  socket.end(sent);
  assert.ok((await bytesOf(socket)).equals(sent));
});

test('cleartext that came before a client’s handshake is refused', { skip: builtin }, async (t) => {
  const server = net.createServer((raw) => raw.write('220 hello\r\n')).listen(0, HOST);
  await once(server, 'listening');
  t.after(() => server.close());
  const raw = net.connect(server.address().port, HOST);
  t.after(() => raw.destroy());
  await once(raw, 'readable');
  const [error] = await once(tls.connect({ socket: raw, ...options() }), 'error');
  assert.strictEqual(error.code, 'ERR_TLS_INJECTED');
});

test('a server may have read the start of the ClientHello', async (t) => {
  const server = net.createServer((raw) => {
    raw.once('readable', () => {
      assert.strictEqual(raw.readableLength > 0, true);
      const socket = new tls.TLSSocket(raw, { isServer: true, ...identity() });
      socket.end('hello');
    });
  }).listen(0, HOST);
  await once(server, 'listening');
  t.after(() => server.close());
  const client = connect('native', server.address().port);
  assert.strictEqual(String(await bytesOf(client)), 'hello');
});

test('destroy() of either takes the other along', async () => {
  const ends = memory();
  const [client, socket] = await over(ends);
  socket.on('error', () => {});
  client.destroy();
  await once(ends[0], 'close');
  ends[1].destroy();
  await once(socket, 'close');
  assert.ok(client.destroyed && socket.destroyed);
});

test('an error of the stream below is the socket’s', async () => {
  const ends = memory();
  const [client] = await over(ends);
  ends[0].destroy(new Error('cable pulled'));
  const closed = new Promise((resolve) => client.once('close', resolve));
  const [error] = await once(client, 'error');
  assert.strictEqual(error.message, 'cable pulled');
  await closed;
});

test('an error below before a server’s socket is handed out goes to tlsClientError', async () => {
  const server = tls.createServer(identity());
  const ends = memory();
  const told = once(server, 'tlsClientError');
  server.emit('connection', ends[1]);
  setImmediate(() => ends[1].destroy(new Error('cable pulled')));
  assert.strictEqual((await told)[0].message, 'cable pulled');
});

test('a bare client’s TLSSocket tells, and refuses nobody', async (t) => {
  const { selfSigned: { key, cert } } = keys();
  const { port } = await serve(t, 'native', { key, cert }, (socket) => socket.end('hello'));
  const raw = net.connect(port, HOST);
  await once(raw, 'connect');
  const socket = new tls.TLSSocket(raw, { ca: [] });
  if (builtin) socket._start();
  await once(socket, 'secure');
  assert.strictEqual(socket.authorized, false);
  assert.strictEqual(String(await bytesOf(socket)), 'hello');
});

test('a server’s TLSSocket without a server: certificates, ALPN, SNI', async (t) => {
  const { ca, a, client: { key, cert } } = keys();
  const door = net.createServer((raw) => {
    const socket = new tls.TLSSocket(raw, {
      isServer: true, ...identity(), ca, requestCert: true, ALPNProtocols: ['x', 'y'],
      SNICallback: (name, callback) => callback(null,
        tls.createSecureContext({ key: a.key, cert: a.cert, ca })),
    });
    socket.on('secure', () => socket.end(`${socket.alpnProtocol} ${socket.servername} ` +
      socket.getPeerCertificate().subject.CN));
  }).listen(0, HOST);
  await once(door, 'listening');
  t.after(() => door.close());
  const client = connect('native', door.address().port,
    { key, cert, ALPNProtocols: ['y'], servername: 'a.example' });
  assert.strictEqual(String(await bytesOf(client)), 'y a.example client');
});

test('createSecurePair', { skip: !tls.createSecurePair }, async () => {
  const { ca } = keys();
  const one = tls.createSecurePair(tls.createSecureContext(identity()), true);
  const two = tls.createSecurePair(tls.createSecureContext({ ca }), false);
  one.encrypted.pipe(two.encrypted).pipe(one.encrypted);
  if (builtin) two.cleartext._start();
  await Promise.all([once(one, 'secure'), once(two, 'secure')]);
  one.cleartext.write('hello');
  const [data] = await once(two.cleartext, 'data');
  assert.strictEqual(String(data), 'hello');
  two.destroy();
  one.destroy();
});
