'use strict';
// TLSSocket: what a net.Socket does, and what is known of a connection.

const assert = require('node:assert');
const { X509Certificate } = require('node:crypto');
const { once } = require('node:events');
const { test } = require('node:test');
const { builtinClient, builtinServer } = require('./support/builtin');
const { keys } = require('./support/keys');
const { tls, builtin } = require('./support/module');
const { HOST, TRANSPORTS, serve, connect, connected, bytesOf } = require('./support/transports');

const OLD = { maxVersion: 'TLSv1.2' };

/** What the callback of renegotiate() got. */
function renegotiated(socket) {
  return new Promise((resolve) => {
    const begun = socket.renegotiate({}, (error) => {
      assert.strictEqual(begun, error === null);
      resolve(error);
    });
  });
}

/** The next `n` letters that a socket hears, and what came with the last of them. */
async function heard(socket, n) {
  let text = '';
  while (text.length < n) text += (await once(socket, 'data'))[0];
  return text;
}

/** Both ends of a new connection, secure. */
async function both(t, transport, options, clientOptions) {
  const server = await serve(t, transport, options);
  const accepted = once(server, 'secureConnection');
  const client = await connected(transport, server.port, clientOptions);
  const [socket] = await accepted;
  t.after(() => client.destroy());
  return { server, client, socket };
}

for (const transport of TRANSPORTS) {
  test(`strings in any encoding, Buffers and cork(), ${transport}`, async (t) => {
    const { client, socket } = await both(t, transport);
    socket.cork();
    socket.write('é', 'latin1');
    socket.write('616263', 'hex');
    socket.write(Buffer.from('-buffer-'));
    socket.write(new Uint8Array([65, 66]));
    socket.write('ZW5k', 'base64');
    socket.write('');
    socket.uncork();
    socket.end('€');
    assert.deepStrictEqual(await bytesOf(client),
      Buffer.concat([Buffer.from([0xe9]), Buffer.from('abc-buffer-ABend€')]));
  });

  test(`setEncoding and async iteration, ${transport}`, async (t) => {
    const { client, socket } = await both(t, transport);
    client.setEncoding('utf8');
    const euro = Buffer.from('€');
    socket.write(euro.subarray(0, 1), () => socket.end(euro.subarray(1)));
    let text = '';
    for await (const part of client) text += part;
    assert.strictEqual(text, '€');
  });

  test(`write() answers false, and drain comes, ${transport}`, async (t) => {
    const { client, socket } = await both(t, transport);
    const chunk = Buffer.alloc(1 << 20, 'x');
    let written = 0;
    client.pause();
    do written += chunk.length; while (socket.write(chunk) && written < 1 << 26);
    assert.ok(written < 1 << 26);
    assert.ok(socket.writableNeedDrain);
    let received = 0;
    client.on('data', (data) => { received += data.length; }).resume();
    await once(socket, 'drain');
    socket.end();
    await once(client, 'end');
    assert.strictEqual(received, written);
  });

  test(`pause() stops, resume() goes on, 4 MB whole, ${transport}`, async (t) => {
    const { client, socket } = await both(t, transport);
    const sent = Buffer.alloc(4 << 20);
    for (let i = 0; i < sent.length; i += 4) sent.writeUInt32LE(i, i);
    socket.end(sent);
    const parts = [];
    client.on('data', (data) => {
      parts.push(data);
      client.pause();
      setImmediate(() => client.resume());
    });
    await once(client, 'end');
    assert.ok(Buffer.concat(parts).equals(sent));
  });

  test(`bytes, addresses, readyState, ${transport}`, async (t) => {
    const { client, socket } = await both(t, transport);
    client.end('12345');
    assert.strictEqual(String(await bytesOf(socket)), '12345');
    assert.strictEqual(socket.bytesRead, 5);
    assert.strictEqual(client.bytesWritten, 5);
    if (transport === 'duplex') return;
    assert.strictEqual(client.remotePort, socket.localPort);
    assert.deepStrictEqual(client.address(),
      { address: HOST, family: 'IPv4', port: socket.remotePort });
    assert.strictEqual(socket.remoteAddress, HOST);
    assert.strictEqual(socket.remoteFamily, 'IPv4');
    assert.strictEqual(client.setNoDelay(true).setKeepAlive(true, 1000), client);
  });

  test(`setTimeout: idle, not while data flows, ${transport}`, async (t) => {
    const { client, socket } = await both(t, transport);
    let timeouts = 0;
    client.setTimeout(300, () => timeouts++);
    for (let i = 0; i < 40; i++) {
      socket.write('.');
      await once(client, 'data');
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.strictEqual(timeouts, 0);
    await once(client, 'timeout');
    assert.ok(!client.destroyed);
    assert.strictEqual(client.setTimeout(0), client);
  });

  test(`secrets and facts are the same on both sides, ${transport}`, async (t) => {
    const { client, socket } = await both(t, transport, {}, { requestOCSP: false });
    for (const method of ['getProtocol', 'getCipher'])
      assert.deepStrictEqual(client[method](), socket[method]());
    assert.strictEqual(client.getProtocol(), 'TLSv1.3');
    const { name, standardName, version } = client.getCipher();
    assert.match(name, /^TLS_/);
    assert.strictEqual(standardName, name);
    assert.strictEqual(version, 'TLSv1.3');
    assert.deepStrictEqual(client.getFinished(), socket.getPeerFinished());
    assert.deepStrictEqual(client.getPeerFinished(), socket.getFinished());
    const secret = client.exportKeyingMaterial(32, 'label', Buffer.from('context'));
    assert.deepStrictEqual(secret,
      socket.exportKeyingMaterial(32, 'label', Buffer.from('context')));
    assert.notDeepStrictEqual(secret, client.exportKeyingMaterial(32, 'label'));
    assert.throws(() => client.exportKeyingMaterial(0, 'label'), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => client.exportKeyingMaterial(8, 5), { code: 'ERR_INVALID_ARG_TYPE' });
    const key = client.getEphemeralKeyInfo();
    assert.deepStrictEqual(key, { type: 'ECDH', name: 'X25519', size: 253 });
    assert.strictEqual(socket.getEphemeralKeyInfo(), null);
    assert.ok(socket.getSharedSigalgs().includes('ECDSA+SHA256'));
    assert.strictEqual(client.isSessionReused(), false);
    assert.strictEqual(client.setMaxSendFragment(512), true);
  });

  test(`certificates on both sides, ${transport}`, async (t) => {
    const { ca, client: identity, server: { cert } } = keys();
    const { client, socket } = await both(t, transport, { requestCert: true, ca },
      { key: identity.key, cert: identity.cert });
    assert.strictEqual(socket.authorized, true);
    const peer = client.getPeerCertificate(true);
    const x509 = new X509Certificate(cert);
    assert.strictEqual(peer.fingerprint256, x509.fingerprint256);
    assert.strictEqual(peer.subject.CN, 'localhost');
    assert.strictEqual(peer.subjectaltname, x509.subjectAltName);
    assert.deepStrictEqual(peer.raw, x509.raw);
    assert.strictEqual(peer.issuerCertificate.subject.CN, 'securepair test root');
    assert.strictEqual(peer.issuerCertificate.issuerCertificate, peer.issuerCertificate);
    assert.strictEqual(client.getPeerCertificate().issuerCertificate, undefined);
    assert.strictEqual(client.getPeerX509Certificate().fingerprint, x509.fingerprint);
    assert.strictEqual(socket.getX509Certificate().fingerprint, x509.fingerprint);
    assert.strictEqual(socket.getCertificate().fingerprint, x509.fingerprint);
    assert.strictEqual(socket.getPeerCertificate().subject.CN, 'client');
    assert.strictEqual(client.getCertificate().subject.CN, 'client');
  });

  test(`a server that asks for nothing sees no certificate, ${transport}`, async (t) => {
    const { client: identity } = keys();
    const { socket } = await both(t, transport, {}, { key: identity.key, cert: identity.cert });
    assert.deepStrictEqual(socket.getPeerCertificate(), {});
    assert.strictEqual(socket.getPeerX509Certificate(), undefined);
    assert.strictEqual(socket.authorized, false);
  });

  test(`after destroy() there are no facts and no crash, ${transport}`, async (t) => {
    const { client } = await both(t, transport);
    client.destroy();
    for (const method of ['getProtocol', 'getCipher', 'getPeerCertificate', 'getCertificate',
                          'getSession', 'getFinished', 'isSessionReused', 'getTLSTicket'])
      assert.strictEqual(client[method](), null, method);
    assert.strictEqual(client.getPeerX509Certificate(), undefined);
    await once(client, 'close');
    assert.ok(client.bytesRead >= 0 && client.bytesWritten >= 0);
  });

  test(`renegotiation, ${transport}`, { skip: builtin }, async (t) => {
    const { client, socket } = await both(t, transport, { ...OLD, renegotiation: true });
    socket.pipe(socket);
    for (const side of [client, client, client, socket, socket, socket]) {
      const echo = heard(client, 12);
      client.write('before ');
      const before = client.getFinished();
      assert.strictEqual(await renegotiated(side), null);
      assert.notDeepStrictEqual(client.getFinished(), before);
      client.write('after');
      assert.strictEqual(await echo, 'before after');
    }
    client.on('error', () => {});
    const failed = once(socket, 'error');
    client.renegotiate({}, assert.fail);
    assert.strictEqual((await failed)[0].code, 'ERR_TLS_SESSION_ATTACK');
  });

  test(`a server refuses renegotiation, ${transport}`, { skip: builtin }, async (t) => {
    const { client, socket } = await both(t, transport, OLD);
    const error = await renegotiated(socket);
    assert.strictEqual(error.code, 'ERR_TLS_RENEGOTIATION_DISABLED');
    const failed = once(client, 'error');
    assert.strictEqual(client.renegotiate({}, assert.fail), true);
    assert.strictEqual((await failed)[0].code, 'ERR_SSL_NO_RENEGOTIATION');
    assert.throws(() => client.renegotiate(), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.strictEqual(client.renegotiate({}), undefined, 'destroyed');
  });

  test(`renegotiation that is disabled, ${transport}`, { skip: builtin }, async (t) => {
    const { client, socket } = await both(t, transport, { ...OLD, renegotiation: true });
    const still = await both(t, transport, { ...OLD, renegotiation: true },
      { renegotiation: false });
    const newer = await both(t, transport, { renegotiation: true });
    client.disableRenegotiation();
    socket.disableRenegotiation();
    for (const side of [client, socket, still.client, newer.client]) {
      assert.strictEqual((await renegotiated(side)).code, 'ERR_TLS_RENEGOTIATION_DISABLED');
      assert.strictEqual(side.write('x'), true);
    }
  });
}

test('a limit of none is no renegotiation', { skip: builtin }, async (t) => {
  const { CLIENT_RENEG_LIMIT } = tls;
  t.after(() => { tls.CLIENT_RENEG_LIMIT = CLIENT_RENEG_LIMIT; });
  tls.CLIENT_RENEG_LIMIT = 0;
  const { socket } = await both(t, 'native', { ...OLD, renegotiation: true });
  assert.strictEqual((await renegotiated(socket)).code, 'ERR_TLS_RENEGOTIATION_DISABLED');
});

for (const client of [true, false]) {
  const who = client ? 'client' : 'server';
  test(`a ${who} renegotiates with Node's own`, { skip: builtin }, async (t) => {
    const peers = client ? await builtinServer(t, OLD) : null;
    const server = client ? null : await serve(t, 'native', { ...OLD, renegotiation: true });
    const secured = server && once(server, 'secureConnection');
    const peer = client ? null : builtinClient(t, server.port, OLD).socket;
    const side = client ? await connected('native', peers.port) : (await secured)[0];
    t.after(() => side.destroy());
    const other = client ? (await peers.accepted).socket : peer;
    other.pipe(other);
    for (let i = 0; i < 3; i++) {
      assert.strictEqual(await renegotiated(side), null);
      const echo = heard(side, 5);
      side.write('hello');
      assert.strictEqual(await echo, 'hello');
    }
  });
}

test('facts before the handshake', async (t) => {
  const server = await serve(t, 'native', {});
  const client = connect('native', server.port);
  assert.strictEqual(client.encrypted, true);
  assert.strictEqual(client.authorized, false);
  assert.strictEqual(client.secureConnecting, true);
  assert.strictEqual(client.connecting, true);
  assert.strictEqual(client.alpnProtocol, null);
  assert.deepStrictEqual(client.getPeerCertificate(), {});
  assert.throws(() => client.exportKeyingMaterial(8, 'x'), { code: 'ERR_TLS_INVALID_STATE' });
  await once(client, 'secureConnect');
  assert.strictEqual(client.secureConnecting, false);
  client.destroy();
});

test('a server’s socket cannot ask for a name', async (t) => {
  const { socket } = await both(t, 'native');
  assert.throws(() => socket.setServername('x'), { code: 'ERR_TLS_SNI_FROM_SERVER' });
  assert.throws(() => socket.setServername(1), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('a write that moves keeps a time-out away, one that is stuck does not', {
  skip: builtin,
}, async (t) => {
  const { client, socket } = await both(t, 'native');
  let timeouts = 0;
  socket.on('timeout', () => timeouts++);
  client.pause();
  socket.end(Buffer.alloc(24 << 20));
  socket._onTimeout(); // the timer ran out: but bytes went since the write began
  assert.strictEqual(timeouts, 0);
  // Nothing is read at the other end, and in the end nothing goes.
  while (timeouts === 0) {
    await new Promise(setImmediate);
    socket._onTimeout();
  }
  client.resume();
  await once(client, 'end');
});

test('the verdict on a server that is not refused', async (t) => {
  const { selfSigned, wrongName } = keys();
  for (const [{ key, cert }, expected] of [[selfSigned, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
                                           [wrongName, 'ERR_TLS_CERT_ALTNAME_INVALID']]) {
    const { client } = await both(t, 'native', { key, cert }, { rejectUnauthorized: false });
    assert.strictEqual(client.authorized, false);
    assert.strictEqual(client.authorizationError, expected);
  }
});

test('ssl is the handle, and tells old programs what they ask', { skip: builtin }, async (t) => {
  const { selfSigned: { key, cert } } = keys();
  const { client, socket } = await both(t, 'native', { key, cert }, { rejectUnauthorized: false });
  assert.strictEqual(client.ssl, client._handle);
  assert.strictEqual(client.ssl.verifyError().code, 'DEPTH_ZERO_SELF_SIGNED_CERT');
  assert.strictEqual(socket.ssl.verifyError(), null);
  assert.strictEqual(typeof client._handle.getAsyncId(), 'number');
  assert.ok(tls.TLSSocket.prototype.isPrototypeOf(client));
});
