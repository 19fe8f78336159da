'use strict';
// What a certificate says it is for.

const assert = require('node:assert');
const { once } = require('node:events');
const { test } = require('node:test');
const { keys, identity, serve, portOf, connected } = require('./support/old');

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';

test('the server reads the extended key usage of its client', async (t) => {
  const { ca, client } = keys();
  const server = await serve(t, { ...identity(), ca: [ca], requestCert: true });
  const accepted = once(server, 'secureConnection');
  const stream = await connected(portOf(server), { key: client.key, cert: client.cert, ca: [ca] });
  const [cleartext] = await accepted;
  assert.strictEqual(cleartext.authorized, true);
  assert.deepStrictEqual(cleartext.getPeerCertificate().ext_key_usage, [CLIENT_AUTH]);
  cleartext.end();
  await once(stream, 'close');
});

test('the client reads the one of its server, in the order of the certificate', async (t) => {
  const server = await serve(t, identity(), (s) => s.end());
  const stream = await connected(portOf(server));
  assert.deepStrictEqual(stream.getPeerCertificate().ext_key_usage, [SERVER_AUTH, CLIENT_AUTH]);
  stream.destroy();
});

test('a certificate for clients alone does not make a server', async (t) => {
  const server = await serve(t, identity('clientOnly'), (s) => s.end());
  const stream = await connected(portOf(server));
  assert.strictEqual(stream.authorizationError, 'INVALID_PURPOSE');
  stream.destroy();
});
