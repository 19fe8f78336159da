'use strict';
// createSecurePair: a TLS connection over whatever moves its bytes, here sockets and pipes.

const assert = require('node:assert');
const { EventEmitter, once } = require('node:events');
const net = require('node:net');
const { test } = require('node:test');
const { tls, keys, identity, text, sClient, sServer } = require('./support/old');

function credentials(options) {
  return tls.createCredentials(options);
}

/** Moves encrypted bytes both ways, as programs of the time did. */
function plug(pair, socket) {
  pair.encrypted.pipe(socket);
  socket.pipe(pair.encrypted);
}

/** Two pairs over each other, nothing but memory between them. */
function couple(client = { ca: [keys().ca] }, server = identity(), requestCert = false,
                rejectUnauthorized = false) {
  const near = tls.createSecurePair(credentials(client), false);
  const far = tls.createSecurePair(credentials(server), true, requestCert, rejectUnauthorized);
  plug(near, far.encrypted);
  return { near, far };
}

function bothSecure({ near, far }) {
  return Promise.all([once(near, 'secure'), once(far, 'secure')]);
}

test('as a client, against openssl s_server', async (t) => {
  const { certPath, keyPath } = keys().server;
  const peer = sServer(t, '-cert', certPath, '-key', keyPath, '-rev');
  await peer.listening;
  const socket = net.connect(peer.port, '127.0.0.1');
  const pair = tls.createSecurePair(credentials({ ca: [keys().ca] }), false);
  plug(pair, socket);
  pair.cleartext.write('one two three\n');
  await once(pair, 'secure');
  assert.strictEqual(pair.ssl.verifyError(), null);
  pair.cleartext.setEncoding('utf8');
  const [line] = await once(pair.cleartext, 'data');
  assert.strictEqual(line, 'eerht owt eno\n');
  pair.cleartext.end();
  await once(socket, 'close');
});

test('as a server, against openssl s_client', async (t) => {
  const server = net.createServer((socket) => {
    const pair = tls.createSecurePair(credentials(identity()), true);
    plug(pair, socket);
    pair.on('secure', () => {
      pair.cleartext.write('hello and goodbye\n');
      pair.cleartext.end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const peer = sClient(t, server.address().port, '-quiet', '-CAfile', keys().caPath,
    '-verify_return_error');
  assert.strictEqual(await peer.gone, 0, peer.said);
  assert.match(peer.said, /^hello and goodbye$/m);
});

test('a pair is an EventEmitter with credentials and two streams', () => {
  const pair = tls.createSecurePair();
  assert.ok(pair instanceof EventEmitter);
  for (const side of [pair.cleartext, pair.encrypted]) {
    for (const method of ['write', 'end', 'pipe', 'pause', 'resume', 'destroy', 'on'])
      assert.strictEqual(typeof side[method], 'function', method);
  }
  assert.strictEqual(typeof pair.credentials, 'object');
  assert.strictEqual(pair._ssl, pair.ssl);
  assert.strictEqual(pair.cleartext.pair, pair);
  assert.strictEqual(pair.encrypted.pair, pair);
  pair.destroy();
});

test('two pairs over each other talk', async () => {
  const both = couple();
  await bothSecure(both);
  assert.strictEqual(both.near.ssl.verifyError(), null);
  const heard = text(both.far.cleartext);
  both.near.cleartext.write('68656c6c6f', 'hex');
  both.near.cleartext.end(' there');
  assert.strictEqual(await heard, 'hello there');
});

test('the end of one side closes all four streams, each once', async () => {
  const { near, far } = couple();
  const closed = [];
  const streams = { near: near.cleartext, nearEncrypted: near.encrypted, far: far.cleartext,
                    farEncrypted: far.encrypted };
  const gone = Object.entries(streams).map(([name, stream]) => {
    stream.on('close', () => closed.push(name));
    return once(stream, 'close');
  });
  await bothSecure({ near, far });
  near.cleartext.end();
  await Promise.all(gone);
  await new Promise(setImmediate);
  assert.deepStrictEqual(closed.sort(), Object.keys(streams).sort());
});

test('a server pair that rejects: no secure, its streams close', async () => {
  const { near, far } = couple({ ca: [keys().ca] }, { ...identity(), ca: [keys().ca] }, true, true);
  far.on('secure', () => assert.fail('secure'));
  near.cleartext.on('error', () => {});
  await Promise.all([once(far.cleartext, 'close'), once(far.encrypted, 'close')]);
});

test('a server pair that asks, and tells by verifyError', async () => {
  const { otherClient, ca } = keys();
  const both = couple({ key: otherClient.key, cert: otherClient.cert, ca: [ca] },
    { ...identity(), ca: [ca] }, true);
  await bothSecure(both);
  assert.strictEqual(both.far._ssl.verifyError(), 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
  assert.strictEqual(both.far.cleartext.getPeerCertificate().subject.CN, 'stranger');
  both.far.destroy();
  both.near.destroy();
});

test('write answers false from 128 KiB on, also when the encrypted side is paused', async () => {
  const { near, far } = couple();
  await bothSecure({ near, far });
  near.encrypted.pause();
  const chunk = Buffer.alloc(16 * 1024, 'x');
  let written = 0;
  while (near.cleartext.write(chunk)) {
    written += chunk.length;
    assert.ok(written < 4 * 1024 * 1024, 'it takes everything');
  }
  let drained = 0;
  near.cleartext.on('drain', () => { drained++; });
  let received = 0;
  far.cleartext.on('data', (data) => { received += data.length; });
  await new Promise(setImmediate);
  assert.strictEqual(drained, 0);
  near.encrypted.resume();
  await once(near.cleartext, 'drain');
  near.cleartext.end();
  await once(far.cleartext, 'end');
  assert.strictEqual(drained, 1);
  assert.strictEqual(received, written + chunk.length);
});

test('junk on the encrypted side', async () => {
  const far = tls.createSecurePair(credentials(identity()), true);
  far.cleartext.on('error', () => assert.fail('error'));
  far.encrypted.on('error', () => assert.fail('error'));
  far.encrypted.resume();
  far.encrypted.write('GET / HTTP/1.0\r\n\r\n');
  await once(far.cleartext, 'close');
});

test('destroying the pair closes both sides', async () => {
  const pair = tls.createSecurePair(credentials(identity()), true);
  const closed = [once(pair.cleartext, 'close'), once(pair.encrypted, 'close')];
  pair.destroy();
  pair.destroy();
  await Promise.all(closed);
});
