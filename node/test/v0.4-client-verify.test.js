'use strict';
// What a client is told about a server's certificate. It never rejects: the callback always comes.

const assert = require('node:assert');
const { test } = require('node:test');
const { keys, identity, serve, portOf, connected } = require('./support/old');

// Certificate by certificate, what three trust sets say of it.
const EXPECTED = {
  server: ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', undefined, undefined],
  selfSigned: ['DEPTH_ZERO_SELF_SIGNED_CERT', 'DEPTH_ZERO_SELF_SIGNED_CERT',
               'DEPTH_ZERO_SELF_SIGNED_CERT'],
  other: ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', undefined],
};

for (const [name, expected] of Object.entries(EXPECTED)) {
  test(`a server with the certificate "${name}", three trust sets`, async (t) => {
    const { ca, otherCa } = keys();
    const server = await serve(t, identity(name), (s) => s.end());
    const trusts = [[], [ca], [ca, otherCa]];
    for (const [i, trust] of trusts.entries()) {
      const stream = await connected(portOf(server), { ca: trust });
      assert.strictEqual(stream.authorized, expected[i] === undefined);
      assert.strictEqual(stream.authorizationError, expected[i]);
      assert.strictEqual(Object.hasOwn(stream, 'authorizationError'), !stream.authorized);
      stream.destroy();
    }
  });
}

test('an expired certificate is told as such', async (t) => {
  const server = await serve(t, identity('expired'), (s) => s.end());
  const stream = await connected(portOf(server));
  assert.strictEqual(stream.authorizationError, 'CERT_HAS_EXPIRED');
  stream.destroy();
});

test('a chain in cert is sent whole', async (t) => {
  const server = await serve(t, identity('chained'), (s) => s.end());
  const stream = await connected(portOf(server));
  assert.strictEqual(stream.authorized, true);
  stream.destroy();
});

test('the name of the host is checked, unless the letter is asked for', async (t) => {
  const server = await serve(t, identity('wrongName'), (s) => s.end());
  const { ca } = keys();
  const checked = await connected(portOf(server), { ca: [ca] });
  assert.strictEqual(checked.authorized, false);
  assert.strictEqual(checked.authorizationError, 'ERR_TLS_CERT_ALTNAME_INVALID');
  checked.destroy();
  const letter = await connected(portOf(server), { ca: [ca], checkServerIdentity: false });
  assert.strictEqual(letter.authorized, true);
  assert.strictEqual(letter.authorizationError, undefined);
  letter.destroy();
});

test('ca as one string, and a ca that is none', async (t) => {
  const server = await serve(t, identity(), (s) => s.end());
  const stream = await connected(portOf(server), { ca: keys().ca.toString() });
  assert.strictEqual(stream.authorized, true);
  stream.destroy();
  assert.throws(() => connectNow(portOf(server), { ca: 'no certificate at all' }));
});

test('without ca the well-known roots are trusted, and no one else', async (t) => {
  const server = await serve(t, identity(), (s) => s.end());
  const stream = await connected(portOf(server), {});
  assert.strictEqual(stream.authorized, false);
  assert.strictEqual(stream.authorizationError, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
  stream.destroy();
});

test('rejectUnauthorized is no option of this client: it never rejects', async (t) => {
  const server = await serve(t, identity('selfSigned'), (s) => s.end());
  const stream = await connected(portOf(server), { ca: [], rejectUnauthorized: true });
  assert.strictEqual(stream.authorized, false);
  stream.destroy();
});

function connectNow(port, options) {
  return require('../lib/v0.4').connect(port, '127.0.0.1', options);
}
