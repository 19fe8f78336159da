'use strict';
// createSecureContext: every option, what it throws, and what is shared.

const assert = require('node:assert');
const crypto = require('node:crypto');
const { once } = require('node:events');
const { test } = require('node:test');
const { keys } = require('./support/keys');
const { tls, builtin } = require('./support/module');
const { identity, serve, connect, connected } = require('./support/transports');

/** A connection between a server and a client with these options, secure: the client's socket. */
async function meet(t, options, clientOptions) {
  const server = await serve(t, 'native', options);
  const accepted = once(server, 'secureConnection');
  const client = connect('native', server.port, clientOptions);
  t.after(() => client.destroy());
  await once(client, 'secureConnect');
  await accepted;
  return client;
}

async function refused(t, options, clientOptions) {
  const server = await serve(t, 'native', options);
  const [error] = await once(connect('native', server.port, clientOptions), 'error');
  return error.code;
}

// -- credentials ----------------------------------------------------------------------------------

test('key and cert as text, Buffer, Uint8Array, lists', async (t) => {
  const { key, cert } = identity();
  for (const form of [{ key: String(key), cert: String(cert) },
                      { key: new Uint8Array(key), cert: new Uint8Array(cert) },
                      { key: [key], cert: [cert] }, { key: [{ pem: key }], cert }])
    assert.ok((await meet(t, form)).authorized);
});

test('two keys with their certificates, in any order: the client’s suites choose', async (t) => {
  const { server, serverRsa } = keys();
  const options = { key: [server.key, serverRsa.key], cert: [serverRsa.cert, server.cert],
                    maxVersion: 'TLSv1.2' };
  const rsa = await meet(t, options, { ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' });
  assert.strictEqual(rsa.getPeerCertificate().bits, 2048);
  const ecdsa = await meet(t, options, { ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' });
  assert.strictEqual(ecdsa.getPeerCertificate().asn1Curve, 'prime256v1');
});

test('what cannot be used is called as the options are', { skip: builtin }, () => {
  const { server: { key, cert }, lockedKey } = keys();
  for (const [options, message] of [
    [{ key }, /^key was given without cert/], [{ cert }, /^cert was given without key: give key,/],
    [{ key: 'none', cert }, /^key: there is no private key/],
    [{ key: [key, 'none'], cert: [cert, cert] }, /^(key|cert)\[1\]/],
    [{ key: lockedKey, cert }, /^key: is encrypted: give passphrase$/],
    [{ ecdhCurve: 'none' }, /^ecdhCurve: "none" names a group/],
  ])
    assert.throws(() => tls.createSecureContext(options), { message });
});

test('a key with a passphrase, and PKCS#12', async (t) => {
  const { lockedKey, pfx, server: { cert } } = keys();
  const passphrase = 'secret';
  for (const form of [{ key: lockedKey, cert, passphrase },
                      { key: [{ pem: lockedKey, passphrase }], cert },
                      { pfx, passphrase }, { pfx: [{ buf: pfx, passphrase }] }])
    assert.ok((await meet(t, { key: undefined, cert: undefined, ...form })).authorized);
  assert.throws(() => tls.createSecureContext({ key: lockedKey, cert, passphrase: 'wrong' }),
    { code: 'ERR_OSSL_BAD_DECRYPT' });
  assert.throws(() => tls.createSecureContext({ pfx, passphrase: 'wrong' }));
});

test('a chain is sent as it is given', async (t) => {
  const { chained } = keys();
  const client = await meet(t, { key: chained.key, cert: chained.chain });
  const peer = client.getPeerCertificate(true);
  assert.strictEqual(peer.issuerCertificate.subject.CN, 'securepair test intermediate');
  assert.strictEqual(peer.issuerCertificate.issuerCertificate.subject.CN, 'securepair test root');
  assert.strictEqual(await refused(t, { key: chained.key, cert: chained.cert }),
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
});

test('ca: one text, a list, many in one text; an empty list trusts nobody', async (t) => {
  const { ca, otherCa } = keys();
  for (const form of [String(ca), [ca], [otherCa, ca], Buffer.concat([otherCa, ca])])
    assert.ok((await meet(t, {}, { ca: form })).authorized);
  assert.strictEqual(await refused(t, {}, { ca: [] }), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
  assert.strictEqual(await refused(t, {}, { ca: otherCa }), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
  assert.strictEqual(await refused(t, {}, { ca: undefined }), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
});

test('allowPartialTrustChain: an intermediate is enough', async (t) => {
  const { chained, intermediate } = keys();
  const options = { key: chained.key, cert: chained.cert };
  const ca = intermediate.cert;
  assert.ok((await meet(t, options, { ca, allowPartialTrustChain: true })).authorized);
  assert.strictEqual(await refused(t, options, { ca }), 'UNABLE_TO_GET_ISSUER_CERT');
});

test('crl: who is revoked is not authorized', async (t) => {
  const { ca, crl, client: { key, cert } } = keys();
  const options = { requestCert: true, rejectUnauthorized: false, ca, crl };
  const server = await serve(t, 'native', options);
  const accepted = once(server, 'secureConnection');
  const client = await connected('native', server.port, { key, cert });
  const [socket] = await accepted;
  assert.strictEqual(socket.authorizationError, 'CERT_REVOKED');
  client.destroy();
});

// -- policy ---------------------------------------------------------------------------------------

test('minVersion and maxVersion', async (t) => {
  assert.strictEqual((await meet(t, { maxVersion: 'TLSv1.2' })).getProtocol(), 'TLSv1.2');
  assert.strictEqual((await meet(t, {}, { maxVersion: 'TLSv1.2' })).getProtocol(), 'TLSv1.2');
  assert.strictEqual((await meet(t, { minVersion: 'TLSv1.3' })).getProtocol(), 'TLSv1.3');
  assert.strictEqual(await refused(t, { minVersion: 'TLSv1.3' }, { maxVersion: 'TLSv1.2' }),
    'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
  assert.throws(() => tls.createSecureContext({ minVersion: 'fish' }), {
    code: 'ERR_TLS_INVALID_PROTOCOL_VERSION',
    message: '"fish" is not a valid minimum TLS protocol version',
  });
});

test('what is below TLS 1.2', { skip: builtin }, async (t) => {
  const client = await meet(t, { minVersion: 'TLSv1', maxVersion: 'TLSv1.2' });
  assert.strictEqual(client.getProtocol(), 'TLSv1.2');
  for (const options of [{ maxVersion: 'TLSv1.1' }, { secureProtocol: 'TLSv1_method' }])
    assert.throws(() => tls.createSecureContext(options), /TLS 1\.2 and TLS 1\.3/);
});

test('secureProtocol', async (t) => {
  assert.strictEqual((await meet(t, { secureProtocol: 'TLSv1_2_method' })).getProtocol(),
    'TLSv1.2');
  assert.strictEqual((await meet(t, { secureProtocol: 'TLS_server_method' })).getProtocol(),
    'TLSv1.3');
  const code = 'ERR_TLS_INVALID_PROTOCOL_METHOD';
  assert.throws(() => tls.createSecureContext({ secureProtocol: 'blargh' }),
    { code, message: 'Unknown method: blargh' });
  assert.throws(() => tls.createSecureContext({ secureProtocol: 'SSLv3_method' }),
    { code, message: 'SSLv3 methods disabled' });
  assert.throws(() => tls.createSecureContext({ secureProtocol: 'TLS_method',
                                                minVersion: 'TLSv1.2' }),
    { code: 'ERR_TLS_PROTOCOL_VERSION_CONFLICT' });
});

test('ciphers: suites of TLS 1.3 and of TLS 1.2 in one list', async (t) => {
  const both = 'TLS_AES_256_GCM_SHA384:ECDHE-ECDSA-AES256-GCM-SHA384';
  assert.strictEqual((await meet(t, { ciphers: both })).getCipher().name,
    'TLS_AES_256_GCM_SHA384');
  const old = await meet(t, { ciphers: both }, { maxVersion: 'TLSv1.2' });
  assert.strictEqual(old.getCipher().name, 'ECDHE-ECDSA-AES256-GCM-SHA384');
  assert.strictEqual(old.getCipher().standardName, 'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384');
  const only = await meet(t, { ciphers: 'TLS_CHACHA20_POLY1305_SHA256' });
  assert.strictEqual(only.getCipher().name, 'TLS_CHACHA20_POLY1305_SHA256');
  assert.throws(() => tls.createSecureContext({ ciphers: 'FISH' }),
    { code: 'ERR_SSL_NO_CIPHER_MATCH' });
  assert.throws(() => tls.createSecureContext({ ciphers: 5 }), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => tls.createSecureContext({ ciphers: ':' }),
    { code: 'ERR_INVALID_ARG_VALUE' });
});

test('ecdhCurve and sigalgs', async (t) => {
  const client = await meet(t, { ecdhCurve: 'P-384' });
  assert.strictEqual(client.getEphemeralKeyInfo().name, 'secp384r1');
  await meet(t, { sigalgs: 'ECDSA+SHA256' }, { sigalgs: 'ECDSA+SHA256:ECDSA+SHA384' });
  assert.throws(() => tls.createSecureContext({ ecdhCurve: 'fish' }));
  assert.throws(() => tls.createSecureContext({ ecdhCurve: 5 }), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => tls.createSecureContext({ sigalgs: '' }),
    { code: 'ERR_INVALID_ARG_VALUE' });
  assert.throws(() => tls.createSecureContext({ sigalgs: 'fish' }));
});

test('dhparam: "auto" makes DHE suites possible', async (t) => {
  const { serverRsa: { key, cert } } = keys();
  const options = { key, cert, dhparam: 'auto', ciphers: 'DHE-RSA-AES128-GCM-SHA256',
                    maxVersion: 'TLSv1.2' };
  const client = await meet(t, options, { ciphers: options.ciphers });
  assert.strictEqual(client.getCipher().name, 'DHE-RSA-AES128-GCM-SHA256');
  const { type, size } = client.getEphemeralKeyInfo();
  assert.strictEqual(type, 'DH');
  assert.ok(size >= 2048);
  assert.strictEqual(await refused(t, options, { ciphers: options.ciphers, minDHSize: 16384 }),
    'ERR_TLS_DH_PARAM_SIZE');
});

test('secureOptions: OpenSSL’s own flags', async (t) => {
  const secureOptions = crypto.constants.SSL_OP_NO_TLSv1_3;
  assert.strictEqual((await meet(t, { secureOptions })).getProtocol(), 'TLSv1.2');
  assert.throws(() => tls.createSecureContext({ secureOptions: 'x' }),
    { code: 'ERR_INVALID_ARG_TYPE' });
});

test('options of wrong types', () => {
  const { key } = identity();
  const code = 'ERR_INVALID_ARG_TYPE';
  assert.throws(() => tls.createSecureContext({ key: 1 }), { code, name: 'TypeError' });
  assert.throws(() => tls.createSecureContext({ cert: true }), { code });
  assert.throws(() => tls.createSecureContext({ ca: 1 }), { code });
  assert.throws(() => tls.createSecureContext({ key, passphrase: 1 }), { code });
  assert.throws(() => tls.createSecureContext({ sessionIdContext: 1 }), { code });
  assert.throws(() => tls.createSecureContext({ ticketKeys: 'x' }), { code });
  assert.throws(() => tls.createSecureContext({ ticketKeys: Buffer.alloc(47) }),
    { code: 'ERR_INVALID_ARG_VALUE' });
  assert.throws(() => tls.createSecureContext({ sessionTimeout: -1 }),
    { code: 'ERR_OUT_OF_RANGE' });
});

test('engines are not there', { skip: builtin }, () => {
  assert.throws(() => tls.createSecureContext({ clientCertEngine: 'x' }),
    { code: 'ERR_CRYPTO_CUSTOM_ENGINE_NOT_SUPPORTED' });
});

// -- contexts -------------------------------------------------------------------------------------

test('without options, and SecureContext by itself', () => {
  assert.ok(tls.createSecureContext() instanceof tls.SecureContext);
  assert.ok(new tls.SecureContext('TLSv1_2_method') instanceof tls.SecureContext);
  assert.ok(tls.SecureContext() instanceof tls.SecureContext);
});

test('equal options share one native context, others do not', { skip: builtin }, () => {
  const { ca } = keys();
  const native = (options) => tls.createSecureContext(options).context.credentials.any();
  assert.strictEqual(native({ ca }), native({ ca: Buffer.from(ca) }));
  assert.notStrictEqual(native({ ca }), native({ ca: String(ca) + '\n' }));
  assert.notStrictEqual(native({ ca }), native({ ca, maxVersion: 'TLSv1.2' }));
});

test('context.addCACert changes that one only', async (t) => {
  const { ca, otherCa } = keys();
  const one = tls.createSecureContext({ ca: otherCa });
  const other = tls.createSecureContext({ ca: otherCa });
  one.context.addCACert(ca);
  assert.ok((await meet(t, {}, { ca: undefined, secureContext: one })).authorized);
  assert.strictEqual(await refused(t, {}, { ca: undefined, secureContext: other }),
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
});

test('a program’s own tls.createSecureContext is asked', { skip: builtin }, async (t) => {
  const { port } = await serve(t, 'native', {});
  const original = tls.createSecureContext;
  let asked = 0;
  tls.createSecureContext = (options) => {
    asked++;
    return original(options);
  };
  t.after(() => { tls.createSecureContext = original; });
  const client = await connected('native', port);
  assert.strictEqual(asked, 1);
  client.destroy();
});

test('DEFAULT_MAX_VERSION and DEFAULT_CIPHERS may be changed', async (t) => {
  const { DEFAULT_MAX_VERSION, DEFAULT_CIPHERS } = tls;
  t.after(() => Object.assign(tls, { DEFAULT_MAX_VERSION, DEFAULT_CIPHERS }));
  tls.DEFAULT_MAX_VERSION = 'TLSv1.2';
  tls.DEFAULT_CIPHERS = 'ECDHE-ECDSA-AES256-GCM-SHA384';
  const client = await meet(t, {});
  assert.strictEqual(client.getProtocol(), 'TLSv1.2');
  assert.strictEqual(client.getCipher().name, 'ECDHE-ECDSA-AES256-GCM-SHA384');
});

test('the module has what Node’s has', () => {
  const node = require('node:tls');
  for (const name of Object.keys(node)) assert.ok(name in tls, name);
  assert.deepStrictEqual(tls.getCiphers(), node.getCiphers());
  assert.strictEqual(tls.rootCertificates, node.rootCertificates);
  assert.ok(Object.isFrozen(tls.rootCertificates));
  assert.strictEqual(tls.CLIENT_RENEG_LIMIT, 3);
});

test('getCACertificates and setDefaultCACertificates', { skip: builtin }, async (t) => {
  assert.deepStrictEqual(tls.getCACertificates('bundled'), tls.rootCertificates);
  assert.ok(Array.isArray(tls.getCACertificates('extra')));
  assert.throws(() => tls.getCACertificates('x'), { code: 'ERR_INVALID_ARG_VALUE' });
  const before = tls.getCACertificates();
  t.after(() => tls.setDefaultCACertificates(before));
  tls.setDefaultCACertificates([String(keys().ca)]);
  assert.deepStrictEqual(tls.getCACertificates(), [String(keys().ca)]);
  assert.ok((await meet(t, {}, { ca: undefined, sigalgs: undefined })).authorized);
});
