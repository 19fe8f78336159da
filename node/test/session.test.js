'use strict';
// Resumption: sessions of clients, tickets of servers, session ids kept by the program.

const assert = require('node:assert');
const { once } = require('node:events');
const { constants } = require('node:crypto');
const { test } = require('node:test');
const { keys } = require('./support/keys');
const { tls, builtin } = require('./support/module');
const { TRANSPORTS, serve, connect } = require('./support/transports');

const VERSIONS = ['TLSv1.2', 'TLSv1.3'];

/** One connection to the end: { reused, authorized, session } */
async function visit(transport, server, options) {
  const client = connect(transport, server.port, options);
  const found = {};
  client.on('session', (session) => { found.session = session; });
  client.on('secureConnect', () => {
    found.reused = client.isSessionReused();
    found.authorized = client.authorized;
  });
  client.resume();
  await new Promise((resolve) => client.once('close', resolve));
  return found;
}

const greet = (socket) => socket.end('hello');

for (const transport of TRANSPORTS) {
  for (const maxVersion of VERSIONS) {
    test(`a ticket is resumed, and the verdict made anew, ${maxVersion}, ${transport}`,
      async (t) => {
        const server = await serve(t, transport, { maxVersion }, greet);
        const first = await visit(transport, server);
        assert.strictEqual(first.reused, false);
        assert.ok(Buffer.isBuffer(first.session));
        const { session } = first;
        const second = await visit(transport, server, { session });
        assert.deepStrictEqual([second.reused, second.authorized], [true, true]);
      });
  }
}

test('another name, another trust, garbage: a full handshake', { skip: builtin }, async (t) => {
  const server = await serve(t, 'native', {}, greet);
  const { session } = await visit('native', server);
  const flipped = Buffer.from(session);
  flipped[flipped.length >> 1] ^= 1;
  const { ca, otherCa } = keys();
  for (const options of [{ session, servername: '127.0.0.1' }, { session, ca: [ca, otherCa] },
                         { session: Buffer.from('garbage') }, { session: flipped },
                         { session: Buffer.alloc(0) }]) {
    const { reused, authorized } = await visit('native', server, options);
    assert.deepStrictEqual([reused, authorized], [false, true]);
  }
});

test('servers with the same ticket keys resume each other’s sessions', async (t) => {
  const ticketKeys = Buffer.alloc(48, 7);
  const one = await serve(t, 'native', { ticketKeys, sessionIdContext: 'fleet' }, greet);
  const two = await serve(t, 'native', { sessionIdContext: 'fleet' }, greet);
  assert.deepStrictEqual(one.getTicketKeys(), ticketKeys);
  const { session } = await visit('native', one);
  assert.strictEqual((await visit('native', two, { session })).reused, false);
  two.setTicketKeys(ticketKeys);
  assert.deepStrictEqual(two.getTicketKeys(), ticketKeys);
  assert.strictEqual((await visit('native', two, { session })).reused, true);
  one.setTicketKeys(Buffer.alloc(48, 8));
  assert.strictEqual((await visit('native', one, { session })).reused, false);
  assert.throws(() => one.setTicketKeys('x'), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => one.setTicketKeys(Buffer.alloc(3)), /48-byte/);
});

test('new listeners leave the ticket keys as they are', { skip: builtin }, async (t) => {
  const server = await serve(t, 'native', {}, greet);
  const { session } = await visit('native', server);
  server.on('keylog', () => {});
  server.addContext('a.example', { key: keys().a.key, cert: keys().a.cert });
  await new Promise(setImmediate);
  assert.strictEqual((await visit('native', server, { session })).reused, true);
});

for (const transport of TRANSPORTS) {
  test(`newSession and resumeSession: ids of TLS 1.2, ${transport}`, async (t) => {
    const store = new Map();
    const server = await serve(t, transport, {
      maxVersion: 'TLSv1.2', secureOptions: constants.SSL_OP_NO_TICKET,
    }, greet);
    server.on('newSession', (id, data, callback) => {
      store.set(id.toString('hex'), data);
      callback();
    });
    server.on('resumeSession', (id, callback) => {
      setTimeout(callback, 2, null, store.get(id.toString('hex')) || null);
    });
    await new Promise(setImmediate);
    const { session } = await visit(transport, server);
    assert.strictEqual(store.size, 1);
    assert.strictEqual((await visit(transport, server, { session })).reused, true);
    store.clear();
    assert.strictEqual((await visit(transport, server, { session })).reused, false);
  });
}

test('an error of resumeSession fails that connection', async (t) => {
  const server = await serve(t, 'native', {
    maxVersion: 'TLSv1.2', secureOptions: constants.SSL_OP_NO_TICKET,
  }, greet);
  const first = await visit('native', server);
  server.on('resumeSession', (id, callback) => callback(new Error('store is gone')));
  const told = once(server, 'tlsClientError');
  await new Promise(setImmediate);
  const failed = await visit('native', server, { session: first.session });
  assert.strictEqual(failed.reused, undefined);
  assert.strictEqual((await told)[0].message, 'store is gone');
});

test('sessions of mutual TLS: who the client is comes along', async (t) => {
  const { ca, client: { key, cert } } = keys();
  const names = [];
  const server = await serve(t, 'native', { requestCert: true, ca }, (socket) => {
    names.push([socket.getPeerCertificate().subject.CN, socket.authorized]);
    socket.end('hello');
  });
  const { session } = await visit('native', server, { key, cert });
  const again = await visit('native', server, { key, cert, session });
  assert.strictEqual(again.reused, true);
  assert.deepStrictEqual(names, [['client', true], ['client', true]]);
});

test('getSession and getTLSTicket', async (t) => {
  const server = await serve(t, 'native', { maxVersion: 'TLSv1.2' }, (socket) => socket.resume());
  const client = connect('native', server.port);
  await once(client, 'secureConnect');
  assert.ok(Buffer.isBuffer(client.getSession()));
  assert.ok(Buffer.isBuffer(client.getTLSTicket()));
  client.destroy();
});

test('OCSPRequest: the staple reaches the client', async (t) => {
  const { intermediate, chained } = keys();
  const server = await serve(t, 'native',
    { key: chained.key, cert: Buffer.concat([chained.cert, intermediate.cert]) }, greet);
  server.on('OCSPRequest', (certificate, issuer, callback) => {
    assert.ok(Buffer.isBuffer(certificate) && Buffer.isBuffer(issuer));
    setTimeout(callback, 2, null, Buffer.from('staple'));
  });
  await new Promise(setImmediate);
  const client = connect('native', server.port, { requestOCSP: true });
  const [response] = await once(client, 'OCSPResponse');
  assert.strictEqual(String(response), 'staple');
  client.destroy();
});

test('pre-shared keys: both callbacks, an unknown identity, an exception', async (t) => {
  const psk = Buffer.from('d731ef57be09e5204f0b205b60627028', 'hex');
  const server = await serve(t, 'native', {
    key: undefined, cert: undefined, ciphers: 'PSK', pskIdentityHint: 'who',
    pskCallback(socket, identity) {
      assert.ok(socket instanceof tls.TLSSocket);
      if (identity === 'throw') throw new Error('no');
      return identity === 'known' ? psk : null;
    },
  }, greet);
  const as = (identity) => visit('native', server, {
    ciphers: 'PSK', checkServerIdentity() {}, pskCallback: () => ({ psk, identity }),
  });
  assert.deepStrictEqual(await as('known').then(({ authorized }) => authorized), true);
  assert.strictEqual((await as('unknown')).authorized, undefined);
  assert.strictEqual((await as('throw')).authorized, undefined);
  assert.strictEqual((await as('known')).authorized, true);
});
