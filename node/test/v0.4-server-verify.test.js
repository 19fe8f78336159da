'use strict';
// What a server is told about a client's certificate, in its five modes; openssl is the client.

const assert = require('node:assert');
const { test } = require('node:test');
const { keys, identity, serve, portOf, sClient } = require('./support/old');

const REFUSED = 'refused';

// ca: false means that the server's trust is empty.
const MODES = [
  { name: 'certificates are not asked for', options: {},
    expected: { none: [false, undefined], client: [false, undefined],
                otherClient: [false, undefined] } },
  { name: 'asked for, everybody may in', options: { requestCert: true },
    expected: { none: [false, 'UNABLE_TO_GET_ISSUER_CERT'], client: [true, undefined],
                otherClient: [false, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'] } },
  { name: 'asked for, only who is known may in',
    options: { requestCert: true, rejectUnauthorized: true },
    expected: { none: REFUSED, client: [true, undefined], otherClient: REFUSED } },
  { name: 'asked for, and nobody is trusted', options: { requestCert: true, ca: [] },
    expected: { none: [false, 'UNABLE_TO_GET_ISSUER_CERT'],
                client: [false, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
                otherClient: [false, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'] } },
  { name: 'with a list of the revoked', options: { requestCert: true, crl: true },
    expected: { none: [false, 'UNABLE_TO_GET_ISSUER_CERT'], client: [false, 'CERT_REVOKED'],
                serverOnly: [false, 'INVALID_PURPOSE'],
                otherClient: [false, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'] } },
];

function serverOptions(options) {
  const { ca, crl } = keys();
  return { ...identity(), ca: [ca], ...options, ...(options.crl && { crl: [crl] }) };
}

// In TLS 1.3 a client is done before it is refused: 1.2 tells it at once.
function visit(t, server, who) {
  const args = who === 'none' ? []
    : ['-cert', keys()[who].certPath, '-key', keys()[who].keyPath];
  const peer = sClient(t, portOf(server), '-tls1_2', '-quiet', '-no_ign_eof', ...args);
  return peer;
}

for (const { name, options, expected } of MODES) {
  test(name, async (t) => {
    const server = await serve(t, serverOptions(options));
    for (const [who, verdict] of Object.entries(expected)) {
      let told = null;
      server.removeAllListeners('secureConnection');
      server.on('secureConnection', (s) => {
        told = [s.authorized, s.authorizationError];
        s.end('bye\n');
      });
      const peer = visit(t, server, who);
      await peer.gone;
      assert.deepStrictEqual(told, verdict === REFUSED ? null : verdict, `${who}: ${peer.said}`);
      assert.strictEqual(/^bye$/m.test(peer.said), verdict !== REFUSED, `${who}: ${peer.said}`);
    }
  });
}

test('rejectUnauthorized has no effect without requestCert', async (t) => {
  const server = await serve(t, { ...serverOptions({}), rejectUnauthorized: true }, (s) => {
    assert.strictEqual(s.authorized, false);
    s.end('bye\n');
  });
  const peer = visit(t, server, 'none');
  await peer.gone;
  assert.match(peer.said, /^bye$/m);
});
