'use strict';
// tls.checkServerIdentity, and what a program puts in its place.

const assert = require('node:assert');
const { once } = require('node:events');
const { test } = require('node:test');
const { keys } = require('./support/keys');
const { tls, builtin } = require('./support/module');
const { serve, connect } = require('./support/transports');

const dns = (...names) => ({ subject: {}, subjectaltname: names.map((n) => `DNS:${n}`).join(', ') });
const cn = (CN) => ({ subject: { CN } });

// [host, certificate, the reason against it]
const CASES = [
  ['a.com', dns('a.com')],
  ['A.COM', dns('a.com')],
  ['a.com.', dns('a.com')],
  ['a.com', dns('A.com.')],
  ['b.a.com', dns('*.a.com')],
  ['a.com', cn('a.com')],
  ['a.com', { subject: { CN: ['b.com', 'a.com'] } }],
  ['8.8.8.8', { subject: {}, subjectaltname: 'IP Address:8.8.8.8' }],
  ['::1', { subject: {}, subjectaltname: 'IP Address:0:0:0:0:0:0:0:1' }],
  ['a.com', cn('b.com'), "Host: a.com. is not cert's CN: b.com"],
  ['a.com', dns('b.com'), "Host: a.com. is not in the cert's altnames: DNS:b.com"],
  ['a.com', { ...dns('b.com'), ...cn('a.com') },
   "Host: a.com. is not in the cert's altnames: DNS:b.com"],
  ['a.com', dns('*.com'), "Host: a.com. is not in the cert's altnames: DNS:*.com"],
  ['a.com', dns('*'), "Host: a.com. is not in the cert's altnames: DNS:*"],
  ['c.b.a.com', dns('*.a.com'), "Host: c.b.a.com. is not in the cert's altnames: DNS:*.a.com"],
  ['a.com', {}, 'Cert does not contain a DNS name'],
  ['8.8.8.8', { subject: { CN: '8.8.8.8' } }, "IP: 8.8.8.8 is not in the cert's list: "],
  ['8.8.8.8', dns('8.8.8.8'), "IP: 8.8.8.8 is not in the cert's list: "],
  ['127.1', { subject: {}, subjectaltname: 'IP Address:127.0.0.1' },
   'Cert does not contain a DNS name'],
  ['a.com', { subject: {}, subjectaltname: 'DNS:"a.com\\u0000.evil.com"' },
   'Host: a.com. is not in the cert\'s altnames: DNS:"a.com\\u0000.evil.com"'],
  ['a.com', { subject: {}, subjectaltname: 'URI:"http://x/, DNS:a.com"' },
   'Cert does not contain a DNS name'],
];

for (const [host, cert, reason] of CASES) {
  test(`${host} and ${JSON.stringify(cert)}: ${reason || 'fits'}`, () => {
    const error = tls.checkServerIdentity(host, cert);
    if (!reason) return assert.strictEqual(error, undefined);
    assert.strictEqual(error.code, 'ERR_TLS_CERT_ALTNAME_INVALID');
    assert.strictEqual(error.reason, reason);
    assert.strictEqual(error.host, host);
    assert.strictEqual(error.cert, cert);
  });
}

test('a star is a whole label', { skip: builtin && 'the built-in takes parts' }, () => {
  assert.ok(tls.checkServerIdentity('fa.a.com', dns('f*.a.com')));
});

test('checkServerIdentity of the program: host, certificate with its issuers; it may accept',
  async (t) => {
    const { wrongName: { key, cert } } = keys();
    const server = await serve(t, 'native', { key, cert });
    let asked;
    const client = connect('native', server.port, {
      checkServerIdentity(host, certificate) { asked = [host, certificate]; },
    });
    await once(client, 'secureConnect');
    assert.strictEqual(client.authorized, true);
    assert.strictEqual(asked[0], 'localhost');
    assert.strictEqual(asked[1].subject.CN, 'mail.example');
    assert.ok(asked[1].issuerCertificate);
    client.destroy();
  });

test('checkServerIdentity is not asked about a certificate that is not trusted', async (t) => {
  const { other: { key, cert } } = keys();
  const server = await serve(t, 'native', { key, cert });
  const client = connect('native', server.port, {
    checkServerIdentity() { assert.fail('asked'); },
  });
  const [error] = await once(client, 'error');
  assert.strictEqual(error.code, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
});

test('its error, refused or not', async (t) => {
  const server = await serve(t, 'native', {});
  const checkServerIdentity = () => Object.assign(new Error('pinned'), { code: 'PIN' });
  const client = connect('native', server.port, { checkServerIdentity });
  const [error] = await once(client, 'error');
  assert.strictEqual(error.code, 'PIN');
  const lax = connect('native', server.port, { checkServerIdentity, rejectUnauthorized: false });
  await once(lax, 'secureConnect');
  assert.strictEqual(lax.authorized, false);
  assert.strictEqual(lax.authorizationError, 'PIN');
  lax.destroy();
  assert.throws(() => tls.connect({ port: 1, checkServerIdentity: 'x' }));
});
