'use strict';
// Errors have Node's codes and messages, and a sentence that says what to do.

const assert = require('node:assert');
const { once } = require('node:events');
const net = require('node:net');
const { constants } = require('node:os');
const { test } = require('node:test');
const { keys } = require('./support/keys');
const { tls, builtin } = require('./support/module');
const { HOST, TRANSPORTS, serve, connect } = require('./support/transports');

const pick = ({ key, cert }) => ({ key, cert });

async function clientError(t, transport, options, clientOptions) {
  const server = await serve(t, transport, options);
  const client = connect(transport, server.port, clientOptions);
  const [error] = await once(client, 'error');
  assert.strictEqual(client.authorized, false);
  return { error, client };
}

async function serverError(t, transport, options, clientOptions) {
  const server = await serve(t, transport, options);
  const told = once(server, 'tlsClientError');
  await new Promise(setImmediate);
  const client = connect(transport, server.port, clientOptions);
  t.after(() => client.destroy());
  return (await told)[0];
}

/** A server of plain TCP that says `text` to everyone and ends. */
async function plain(t, text) {
  const door = net.createServer((raw) => {
    raw.on('error', () => {});
    raw.end(text);
  }).listen(0, HOST);
  await once(door, 'listening');
  t.after(() => door.close());
  return door.address().port;
}

const REFUSALS = {
  selfSigned: ['DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate', /self-signed/],
  other: ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'unable to verify the first certificate',
          /securepair other root/],
  expired: ['CERT_HAS_EXPIRED', 'certificate has expired', /expired \d+ days ago/],
};

for (const transport of TRANSPORTS) {
  for (const [name, [code, message, sentence]] of Object.entries(REFUSALS)) {
    test(`a server is refused: ${code}, ${transport}`, async (t) => {
      const { error } = await clientError(t, transport, pick(keys()[name]));
      assert.ok(error instanceof Error);
      assert.strictEqual(error.code, code);
      assert.strictEqual(error.message, message);
      if (!builtin) assert.match(error.explanation, sentence);
    });
  }

  test(`a server is refused for its name: reason, host and cert, ${transport}`, async (t) => {
    const { error } = await clientError(t, transport, pick(keys().wrongName));
    assert.strictEqual(error.code, 'ERR_TLS_CERT_ALTNAME_INVALID');
    assert.strictEqual(error.reason, 'Host: localhost. is not in the cert\'s altnames: ' +
      'DNS:mail.example, DNS:*.wild.example');
    assert.strictEqual(error.message,
      `Hostname/IP does not match certificate's altnames: ${error.reason}`);
    assert.strictEqual(error.host, 'localhost');
    assert.strictEqual(error.cert.subject.CN, 'mail.example');
    if (!builtin) assert.match(error.explanation, /is for mail\.example/);
  });

  test(`a client without a certificate, ${transport}`, async (t) => {
    const { ca } = keys();
    const error = await serverError(t, transport, { requestCert: true, ca });
    assert.strictEqual(error.code, 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE');
    assert.strictEqual(error.reason, 'peer did not return a certificate');
    assert.strictEqual(error.library, 'SSL routines');
  });

  test(`a client whose certificate is not trusted, ${transport}`, { skip: builtin }, async (t) => {
    const { ca, otherClient } = keys();
    const error = await serverError(t, transport, { requestCert: true, ca }, pick(otherClient));
    assert.strictEqual(error.code, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
    assert.match(error.explanation, /stranger/);
  });

  test(`the alerts of a peer, ${transport}`, async (t) => {
    const error = await serverError(t, transport, pick(keys().selfSigned));
    if (builtin) return;
    assert.strictEqual(error.code, 'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA');
    assert.strictEqual(error.library, 'SSL routines');
    assert.strictEqual(error.reason, 'tlsv1 alert unknown ca');
    assert.strictEqual(error.alert, 'unknown_ca');
    assert.match(error.message, /^error:0A000418:SSL routines::tlsv1 alert unknown ca$/);
  });

  test(`a client of TLS 1.3 hears of its refusal afterwards, ${transport}`, async (t) => {
    const server = await serve(t, transport, { requestCert: true, ca: keys().ca });
    const client = connect(transport, server.port);
    await once(client, 'secureConnect');
    const [error] = await once(client, 'error');
    assert.strictEqual(error.code, 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED');
  });

  test(`the server hangs up: ECONNRESET and where, ${transport}`, async (t) => {
    const port = await plain(t, '');
    const client = connect(transport, port);
    const [error] = await once(client, 'error');
    assert.strictEqual(error.code, 'ECONNRESET');
    assert.strictEqual(error.message,
      'Client network socket disconnected before secure TLS connection was established');
    assert.strictEqual(error.host, HOST);
    assert.strictEqual(error.port, port);
  });

  test(`the server speaks no TLS, ${transport}`, async (t) => {
    const client = connect(transport, await plain(t, '220 smtp.example ESMTP\r\n'));
    const [error] = await once(client, 'error');
    assert.strictEqual(error.code, 'ERR_SSL_WRONG_VERSION_NUMBER');
    assert.strictEqual(error.reason, 'wrong version number');
    if (!builtin) assert.match(error.explanation, /STARTTLS/);
  });
}

test('a connection that breaks after it was secure: read ECONNRESET', async (t) => {
  const server = await serve(t, 'native', {});
  const accepted = once(server, 'secureConnection');
  server.on('connection', (raw) => { server.raw = raw; });
  await new Promise(setImmediate);
  const client = connect('native', server.port);
  await once(client, 'secureConnect');
  await accepted;
  server.raw.resetAndDestroy();
  const [error] = await once(client, 'error');
  const { code, errno, syscall, message } = error;
  assert.deepStrictEqual({ code, errno, syscall, message },
    { code: 'ECONNRESET', errno: -104, syscall: 'read', message: 'read ECONNRESET' });
});

test('the system call of an error is the one that failed', { skip: builtin }, () => {
  const { fromInfo } = require('../lib/errors');
  const status = -constants.errno.EPIPE;
  const text = 'writing failed on the secure connection: broken pipe';
  assert.strictEqual(fromInfo({ status, text }).message, 'write EPIPE');
  assert.strictEqual(fromInfo({ status }).message, 'read EPIPE');
});

test('a socket’s own limits: write after end and after destroy', async (t) => {
  const server = await serve(t, 'native', {}, (socket) => socket.resume());
  const client = connect('native', server.port);
  await once(client, 'secureConnect');
  client.end();
  const error = await new Promise((resolve) => client.write('x', resolve));
  assert.strictEqual(error.code, 'ERR_STREAM_WRITE_AFTER_END');
  client.destroy();
  const other = await new Promise((resolve) => client.write('x', resolve));
  assert.ok(['ERR_STREAM_DESTROYED', 'ERR_STREAM_WRITE_AFTER_END'].includes(other.code));
});

test('NODE_TLS_REJECT_UNAUTHORIZED=0 counts, with a warning, unless the option is there',
  async (t) => {
    const server = await serve(t, 'native', pick(keys().selfSigned));
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
    t.after(() => { delete process.env.NODE_TLS_REJECT_UNAUTHORIZED; });
    const warned = once(process, 'warning');
    const client = tls.connect({ host: HOST, port: server.port });
    await once(client, 'secureConnect');
    assert.strictEqual(client.authorized, false);
    client.destroy();
    assert.match((await warned)[0].message, /NODE_TLS_REJECT_UNAUTHORIZED/);
    const strict = tls.connect({ host: HOST, port: server.port, rejectUnauthorized: true });
    const [error] = await once(strict, 'error');
    assert.strictEqual(error.code, 'DEPTH_ZERO_SELF_SIGNED_CERT');
  });
