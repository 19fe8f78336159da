'use strict';
// The STARTTLS recipe of the time: a conversation begins in the clear on a net.Socket and goes on
// encrypted on the same one.

const assert = require('node:assert');
const { once } = require('node:events');
const net = require('node:net');
const { test } = require('node:test');
const { tls, keys, identity, text, openssl } = require('./support/old');

/** As it stood in many a program: upgrades `socket`, then calls back with (pair, cleartext). */
function startTls(socket, options, isServer, callback) {
  const pair = tls.createSecurePair(tls.createCredentials(options), isServer);
  pair.encrypted.pipe(socket);
  socket.pipe(pair.encrypted);
  const cleartext = pair.cleartext;
  cleartext.socket = socket;
  cleartext.encrypted = pair.encrypted;
  cleartext.authorized = false;
  socket.on('error', (error) => cleartext.emit('error', error));
  pair.on('secure', () => {
    const verifyError = (pair._ssl || pair.ssl).verifyError();
    if (verifyError) cleartext.authorizationError = verifyError;
    else cleartext.authorized = true;
    callback(pair, cleartext);
  });
  return cleartext;
}

/** Calls back for each line, until it answers true: from then on the socket is somebody else's. */
function lines(socket, listener) {
  let rest = '';
  const hear = (data) => {
    rest += data.toString();
    for (let at; (at = rest.indexOf('\n')) >= 0;) {
      const line = rest.slice(0, at).trim();
      rest = rest.slice(at + 1);
      if (!listener(line)) continue;
      socket.removeListener('data', hear);
      return;
    }
  };
  socket.on('data', hear);
}

/** Upgrades `socket` when its server says so; resolves with [pair, cleartext]. */
function upgraded(socket, options) {
  return new Promise((resolve) => {
    lines(socket, (line) => {
      if (line === '220 here') socket.write('EHLO me\r\n');
      if (line === '250 STARTTLS') socket.write('STARTTLS\r\n');
      if (line !== '220 go ahead') return false;
      startTls(socket, options, false, (...all) => resolve(all));
      return true;
    });
  });
}

/** A mail server, as far as STARTTLS: greets, upgrades, echoes what it is told. */
async function mailServer(t) {
  const server = net.createServer((socket) => {
    socket.write('220 here\r\n');
    lines(socket, (line) => {
      if (/^EHLO/i.test(line)) socket.write('250-here\r\n250 STARTTLS\r\n');
      if (!/^STARTTLS$/i.test(line)) return false;
      socket.write('220 go ahead\r\n');
      const cleartext = startTls(socket, identity(), true, () => cleartext.pipe(cleartext));
      return true;
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return server;
}

test('the recipe as client and as server', async (t) => {
  const server = await mailServer(t);
  const socket = net.connect(server.address().port, '127.0.0.1');
  const [pair, cleartext] = await upgraded(socket, { ca: [keys().ca] });
  assert.strictEqual(cleartext.authorized, true);
  assert.strictEqual(cleartext.socket, socket);
  assert.strictEqual(cleartext.encrypted, pair.encrypted);
  const closed = once(socket, 'close');
  const answer = text(cleartext);
  cleartext.write('MAIL FROM:<me>\r\n');
  await once(cleartext, 'data');
  cleartext.end();
  assert.strictEqual(await answer, 'MAIL FROM:<me>\r\n');
  await closed;
});

test('openssl s_client -starttls smtp against the recipe', async (t) => {
  const server = await mailServer(t);
  const peer = openssl(t, 's_client', '-starttls', 'smtp', '-quiet', '-CAfile', keys().caPath,
    '-verify_return_error', '-connect', `127.0.0.1:${server.address().port}`);
  peer.child.stdin.write('echo me\n');
  await peer.saw(/^echo me$/m);
  peer.child.stdin.end();
  peer.child.kill();
});

test('who the peer is comes from verifyError', async (t) => {
  const server = await mailServer(t);
  const socket = net.connect(server.address().port, '127.0.0.1');
  const [, cleartext] = await upgraded(socket, { ca: [] });
  assert.strictEqual(cleartext.authorized, false);
  assert.strictEqual(cleartext.authorizationError, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
  cleartext.destroy();
  socket.destroy();
});

for (const death of ['end', 'destroy']) {
  test(`the socket dies by ${death}: the cleartext stream closes`, async (t) => {
    const server = await mailServer(t);
    const socket = net.connect(server.address().port, '127.0.0.1');
    const [, cleartext] = await upgraded(socket, { ca: [keys().ca] });
    assert.strictEqual(cleartext.authorized, true);
    const ended = once(cleartext, 'close');
    socket[death]();
    await ended;
  });

  test(`the cleartext stream dies by ${death}: the socket closes`, async (t) => {
    const server = await mailServer(t);
    const socket = net.connect(server.address().port, '127.0.0.1');
    const [, cleartext] = await upgraded(socket, { ca: [keys().ca] });
    const ended = once(socket, 'close');
    cleartext[death]();
    await ended;
  });
}
