'use strict';
// tls.connect(port, [host], [options], callback) in all its forms, and what its stream tells.

const assert = require('node:assert');
const { once } = require('node:events');
const net = require('node:net');
const path = require('node:path');
const { test } = require('node:test');
const { tls, keys, identity, serve, portOf, connected } = require('./support/old');

const FORMS = {
  'port, callback': (port, options, callback) => tls.connect(port, callback),
  'port, host, callback': (port, options, callback) => tls.connect(port, 'localhost', callback),
  'port, options, callback': (port, options, callback) => tls.connect(port, options, callback),
  'port, host, options, callback': (port, options, callback) =>
    tls.connect(port, '127.0.0.1', options, callback),
  'a port in digits': (port, options, callback) =>
    tls.connect(String(port), '127.0.0.1', options, callback),
  'nothing in place of what is left out': (port, options, callback) =>
    tls.connect(port, null, undefined, callback),
};

for (const [name, form] of Object.entries(FORMS)) {
  test(`connect(${name})`, async (t) => {
    const server = await serve(t, identity(), (s) => s.end('hello'));
    const stream = await new Promise((resolve, reject) => {
      const s = form(portOf(server), { ca: [keys().ca] }, (...all) => {
        assert.deepStrictEqual(all, []);
        resolve(s);
      });
      s.on('error', reject);
    });
    assert.strictEqual(typeof stream.authorized, 'boolean');
    await once(stream, 'close');
  });
}

test('connect(port) alone, the stream writes when it can', async (t) => {
  const server = await serve(t, identity());
  const accepted = once(server, 'secureConnection');
  const stream = tls.connect(portOf(server));
  stream.end('hello');
  const [cleartext] = await accepted;
  assert.strictEqual(String((await once(cleartext, 'data'))[0]), 'hello');
  await once(stream, 'close');
});

test('a key without a certificate is no obstacle', async (t) => {
  const server = await serve(t, identity(), (s) => s.end());
  const { key, ca } = { key: keys().client.key, ca: [keys().ca] };
  const stream = await connected(portOf(server), { key, ca });
  assert.strictEqual(stream.authorized, true);
  await once(stream, 'close');
});

test('the options are not changed, and may be used again', async (t) => {
  const server = await serve(t, identity(), (s) => s.end());
  const options = Object.freeze({ ca: Object.freeze([keys().ca]) });
  for (let i = 0; i < 2; i++) {
    const stream = await connected(portOf(server), options);
    assert.strictEqual(stream.authorized, true);
    await once(stream, 'close');
  }
});

test('a Unix socket', async (t) => {
  const at = path.join(keys().folder, 'connect.sock');
  const server = tls.createServer(identity(), (s) => s.end('hello')).listen(at);
  await once(server, 'listening');
  t.after(() => server.close());
  const stream = tls.connect(at, { ca: [keys().ca], checkServerIdentity: false });
  const [data] = await once(stream, 'data');
  assert.strictEqual(String(data), 'hello');
  assert.strictEqual(stream.authorized, true);
  await once(stream, 'close');
});

test('what cannot be used throws at once', () => {
  const { client, server, ca } = keys();
  const bad = {
    'a junk key': { key: 'junk', cert: client.cert },
    'a junk certificate': { key: client.key, cert: 'junk' },
    'a junk ca': { ca: ['junk'] },
    'a certificate without its key': { cert: client.cert },
    'another one\'s key': { key: server.key, cert: client.cert },
    'a junk list of the revoked': { ca: [ca], crl: ['junk'] },
    'unknown ciphers': { ciphers: 'NO-SUCH-CIPHER' },
    'an unknown protocol': { secureProtocol: 'TLSv9_method' },
  };
  for (const [name, options] of Object.entries(bad)) {
    assert.throws(() => tls.connect(1, '127.0.0.1', options), Error, name);
    assert.throws(() => tls.createServer(options), Error, name);
    assert.throws(() => tls.createCredentials(options), Error, name);
  }
});

test('the certificate of the peer, field by field', async (t) => {
  const server = await serve(t, identity(), (s) => s.end());
  const stream = await connected(portOf(server));
  const { X509Certificate } = require('node:crypto');
  const expected = new X509Certificate(keys().server.cert);
  const found = stream.getPeerCertificate();
  assert.deepStrictEqual(found, {
    subject: { C: 'XX', O: 'securepair', CN: 'localhost' },
    issuer: { C: 'XX', O: 'securepair', CN: 'securepair test root' },
    subjectaltname: expected.subjectAltName,
    valid_from: expected.validFrom,
    valid_to: expected.validTo,
    fingerprint: expected.fingerprint,
    ext_key_usage: ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'],
  });
  stream.destroy();
});

test('without a certificate of the peer there is an empty object', async (t) => {
  const server = await serve(t, { ...identity(), requestCert: true });
  const accepted = once(server, 'secureConnection');
  const stream = await connected(portOf(server));
  const [cleartext] = await accepted;
  assert.deepStrictEqual(cleartext.getPeerCertificate(), {});
  stream.destroy();
});

test('the cipher: its name and its version', async (t) => {
  const server = await serve(t, identity('serverRsa'), (s) => s.end());
  const options = { ca: [keys().ca], ciphers: 'ECDHE-RSA-AES256-GCM-SHA384',
                    secureProtocol: 'TLSv1_2_method' };
  const stream = await connected(portOf(server), options);
  assert.deepStrictEqual(stream.getCipher(),
    { name: 'ECDHE-RSA-AES256-GCM-SHA384', version: 'TLSv1.2' });
  stream.destroy();
});

test('socket, encrypted and pair', async (t) => {
  const server = await serve(t, identity());
  const accepted = once(server, 'secureConnection');
  const stream = await connected(portOf(server));
  const [cleartext, encrypted] = await accepted;
  for (const side of [stream, cleartext]) {
    assert.ok(side.socket instanceof net.Socket);
    assert.strictEqual(side.socket.remoteAddress, '127.0.0.1');
    assert.strictEqual(side.remoteAddress, '127.0.0.1');
    assert.ok(side.encrypted);
    assert.strictEqual(side.pair.cleartext, side);
    assert.strictEqual(side.pair.encrypted, side.encrypted);
    assert.strictEqual(side.encrypted.socket, side.socket);
  }
  assert.strictEqual(cleartext.encrypted, encrypted);
  assert.strictEqual(stream.pair.ssl.verifyError(), null);
  assert.strictEqual(stream.pair._ssl, stream.pair.ssl);
  stream.destroy();
});

test('destroying the encrypted side closes both', async (t) => {
  const server = await serve(t, identity());
  const accepted = once(server, 'secureConnection');
  const stream = await connected(portOf(server));
  const [cleartext, encrypted] = await accepted;
  encrypted.destroy();
  await Promise.all([once(stream, 'close'), once(cleartext, 'close')]);
});
