'use strict';
// What README.md says is better or stricter than Node's own `tls`, line by line.

const assert = require('node:assert');
const { once } = require('node:events');
const net = require('node:net');
const { test } = require('node:test');
const tls = require('../lib/tls');
const { keys } = require('./support/keys');
const { listen } = require('./support/serving');

const all = keys();
const { key, cert } = all.server;
const { ca } = all;

function connect(port, options) {
  return tls.connect({ port, host: '127.0.0.1', servername: 'localhost', ca, ...options });
}

// Between a client and the server on `port`; `cut()` ends the connection without a word of TLS.
async function wireTo(port, t) {
  let cut;
  const wire = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    near.pipe(far).pipe(near);
    for (const socket of [near, far]) socket.on('error', () => {});
    cut = () => {
      far.unpipe(near);
      near.end();
      far.destroy();
    };
  });
  return { port: await listen(wire, t), cut: () => cut() };
}

async function cutConnection(t, options) {
  const server = tls.createServer({ key, cert }, (socket) => socket.write('the first half'));
  const wire = await wireTo(await listen(server, t), t);
  const socket = connect(wire.port, options);
  await once(socket, 'data');
  wire.cut();
  return socket.resume();
}

test('a connection that was cut is truncated', async (t) => {
  const socket = await cutConnection(t);
  await once(socket, 'end');
  assert.strictEqual(socket.truncated, true);
});

test('with strictEOF that is an error', async (t) => {
  const [error] = await once(await cutConnection(t, { strictEOF: true }), 'error');
  assert.strictEqual(error.code, 'ERR_TLS_TRUNCATED');
});

test('handshakeTimeout closes the connection', async (t) => {
  const port = await listen(tls.createServer({ key, cert, handshakeTimeout: 20 }), t);
  await once(net.connect(port, '127.0.0.1'), 'close');
});

test('errors explain themselves', async (t) => {
  const { key, cert } = all.expired;
  const port = await listen(tls.createServer({ key, cert }), t);
  const [error] = await once(connect(port), 'error');
  assert.strictEqual(error.code, 'CERT_HAS_EXPIRED');
  assert.match(error.explanation, /certificate .* expired \d+ days ago \(2020-02-01/);
});

test('the names of addContext match whatever their case, with or without a dot', async (t) => {
  const server = tls.createServer({ key, cert });
  server.addContext('A.Example.', all.a);
  const port = await listen(server, t);
  for (const servername of ['a.example', 'A.EXAMPLE']) {
    const socket = connect(port, { servername });
    await once(socket, 'secureConnect');
    assert.strictEqual(socket.getPeerCertificate().subject.CN, 'a.example');
    socket.destroy();
  }
});

// A session of the server that is called localhost.
async function sessionWith(port) {
  const socket = connect(port);
  const [session] = await once(socket, 'session');
  socket.destroy();
  return session;
}

test('a session is resumed under its own name only', async (t) => {
  const port = await listen(tls.createServer({ key, cert }, (socket) => {
    socket.on('error', () => {}).write('!');
  }), t);
  const session = await sessionWith(port);
  const again = connect(port, { session });
  await once(again, 'secureConnect');
  assert.strictEqual(again.isSessionReused(), true);
  again.destroy();
  const [error] = await once(connect(port, { session, servername: 'mail.example' }), 'error');
  assert.strictEqual(error.code, 'ERR_TLS_CERT_ALTNAME_INVALID');
});

test('an exception in SNICallback is the end of that connection, not of the process', async (t) => {
  const SNICallback = (name) => {
    if (name === 'mail.example') throw new Error('a bug');
  };
  const server = tls.createServer({ key, cert, SNICallback: (name, done) => {
    SNICallback(name);
    done(null);
  } });
  const port = await listen(server, t);
  await once(connect(port, { servername: 'mail.example' }), 'error');
  const socket = connect(port);
  await once(socket, 'secureConnect');
  socket.destroy();
});

test('junk in ca, a certificate without its key and a key without its certificate', () => {
  assert.throws(() => tls.createSecureContext({ ca: 'junk' }), /ca/);
  assert.throws(() => tls.createSecureContext({ cert }), /key/);
  assert.throws(() => tls.createSecureContext({ key }), /cert/);
});

// A list by an authority of its own; only its form counts.
const delta = `-----BEGIN X509 CRL-----
MIG7MGICAQEwCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJYXV0aG9yaXR5Fw0yNjEx
MjQwNDQ5MjNaFw0yNjExMjUwNDQ5MjNaoB0wGzAKBgNVHRQEAwIBAjANBgNVHRsB
Af8EAwIBATAKBggqhkjOPQQDAgNJADBGAiEAvbeLko9sz1x0Aak25SC/Qilb9L+j
LQbgpY9JPop+4a0CIQDViEyBA68XXedhFb/RjcseaBKFu8C7vwgKjhDB+jpc4A==
-----END X509 CRL-----
`;

test('a delta list in crl is an error', () => {
  assert.throws(() => tls.createSecureContext({ ca, crl: delta }), /delta/);
});

test('odd ways to write a host match no certificate', () => {
  const certificate = { subject: { CN: 'x' },
                        subjectaltname: 'IP Address:127.0.0.1, DNS:*.example' };
  for (const host of ['127.1', '0x7f.0.0.1', '127.0.0.1\0', '１２７.0.0.1', 'a。example',
                      'a\0.example'])
    assert.strictEqual(tls.checkServerIdentity(host, certificate)?.code,
      'ERR_TLS_CERT_ALTNAME_INVALID', host);
  assert.strictEqual(tls.checkServerIdentity('127.0.0.1', certificate), undefined);
});

test('an SNICallback without an answer leaves the choice to addContext', async (t) => {
  const SNICallback = (servername, callback) => callback(null, null);
  const server = tls.createServer({ key, cert, SNICallback });
  server.addContext('a.example', all.a);
  const socket = connect(await listen(server, t), { servername: 'a.example' });
  await once(socket, 'secureConnect');
  assert.strictEqual(socket.getPeerCertificate().subject.CN, 'a.example');
  socket.destroy();
});

test('AES-128-GCM is the first choice of TLS 1.3', async (t) => {
  const socket = connect(await listen(tls.createServer({ key, cert }), t));
  await once(socket, 'secureConnect');
  assert.strictEqual(socket.getCipher().name, 'TLS_AES_128_GCM_SHA256');
  socket.destroy();
});

test('nothing below TLS 1.2', async (t) => {
  assert.throws(() => tls.createSecureContext({ maxVersion: 'TLSv1.1' }), /TLS 1\.2/);
  const port = await listen(tls.createServer({ key, cert, minVersion: 'TLSv1' }), t);
  const socket = connect(port, { minVersion: 'TLSv1', maxVersion: 'TLSv1.2' });
  await once(socket, 'secureConnect');
  assert.strictEqual(socket.getProtocol(), 'TLSv1.2');
  socket.destroy();
});

test('cleartext ahead of the handshake is refused', async (t) => {
  const port = await listen(net.createServer((socket) => {
    socket.on('error', () => {});
    socket.write('220 go ahead\r\nEHLO of somebody else\r\n');
    new tls.TLSSocket(socket, { isServer: true, key, cert }).on('error', () => {});
  }), t);
  const raw = net.connect(port, '127.0.0.1');
  await once(raw, 'readable');
  raw.read(14); // "220 go ahead", and what else came stays
  const [error] = await once(tls.connect({ socket: raw, servername: 'localhost', ca }), 'error');
  assert.match(error.explanation || error.message, /clear|handshake/);
});

test('a client that goes at once is no error of the server\'s socket', async (t) => {
  const ends = [];
  const server = tls.createServer({ key, cert }, (socket) => {
    socket.on('error', (error) => ends.push(error.code)).on('end', () => ends.push('end'));
    socket.resume();
  });
  const port = await listen(server, t);
  for (let i = 0; i < 20; i++) {
    const socket = connect(port);
    const closed = once(server, 'secureConnection').then(([other]) => once(other, 'close'));
    socket.once('secureConnect', () => socket.destroy());
    await closed;
  }
  assert.deepStrictEqual([...new Set(ends)], ['end']);
});
