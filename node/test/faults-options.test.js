'use strict';
// Options and arguments that are wrong: FAULTS.md K10, A07, A08.

const assert = require('node:assert');
const { once } = require('node:events');
const net = require('node:net');
const { test } = require('node:test');
const { keys } = require('./support/keys');
const { tls } = require('./support/module');
const { HOST, TRANSPORTS, identity, serve, connect, connected, watch, assertServes, bytesOf } =
  require('./support/transports');

// -- K10 ------------------------------------------------------------------------------------------

const all = keys();
const JUNK = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';

// The options, and what the error has to name.
const WRONG = {
  'a key of another certificate': [{ key: all.client.key, cert: all.server.cert }, /key/],
  'a junk key': [{ key: 'junk', cert: all.server.cert }, /key/],
  'a junk cert': [{ key: all.server.key, cert: JUNK }, /cert/],
  'a cert that is no PEM': [{ key: all.server.key, cert: 'junk' }, /cert/],
  'a junk ca': [{ ...identity(), ca: JUNK }, /\bca\b|trusted/],
  'a ca that is no PEM': [{ ...identity(), ca: 'junk' }, /\bca\b|trusted/],
  'one junk ca of two': [{ ...identity(), ca: [all.ca, 'junk'] }, /\bca\b|trusted/],
  'a cert without its key': [{ cert: all.server.cert }, /key/],
};

for (const [name, [options, named]] of Object.entries(WRONG)) {
  const refuses = (make) => assert.throws(make, (error) => {
    assert.match(error.message, named);
    assert.ok(error.code, error.message);
    return true;
  });

  test(`K10 ${name}`, () => {
    refuses(() => tls.createSecureContext(options));
    refuses(() => tls.createServer(options));
    refuses(() => tls.createServer(identity()).setSecureContext(options));
    refuses(() => tls.createServer(identity()).addContext('name.example', options));
    refuses(() => tls.connect({ port: 1, host: HOST, ...options }));
  });
}

// -- A07 ------------------------------------------------------------------------------------------

const NOT_FALSE = [undefined, null, 0, '', NaN, 'false'];

for (const transport of TRANSPORTS) {
  for (const rejectUnauthorized of NOT_FALSE) {
    const shown = `${typeof rejectUnauthorized} ${String(rejectUnauthorized)}`;

    test(`A07 rejectUnauthorized ${shown} at a client, ${transport}`, async (t) => {
      const server = await serve(t, transport, {});
      const client = connect(transport, server.port, { ca: all.otherCa, rejectUnauthorized });
      const { seen, closed } = watch(client);
      await closed;
      assert.deepStrictEqual(seen, ['error UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'close']);
    });

    test(`A07 rejectUnauthorized ${shown} at a server, ${transport}`, async (t) => {
      const options = { requestCert: true, ca: all.ca, rejectUnauthorized };
      const server = await serve(t, transport, options, () => assert.fail('secureConnection'));
      const failed = once(server, 'tlsClientError');
      const client = connect(transport, server.port, { maxVersion: 'TLSv1.2' });
      const { seen, closed } = watch(client);
      await closed;
      assert.match(seen.join(), /^error \w+,close$/);
      const [error] = await failed;
      assert.ok(error.code);
    });
  }

  test(`A07 rejectUnauthorized false turns it off, ${transport}`, async (t) => {
    const server = await serve(t, transport,
      { requestCert: true, ca: all.ca, rejectUnauthorized: false });
    const accepted = once(server, 'secureConnection');
    const options = { ca: all.otherCa, rejectUnauthorized: false };
    const client = await connected(transport, server.port, options);
    assert.strictEqual(client.authorized, false);
    assert.strictEqual((await accepted)[0].authorized, false);
  });
}

// -- A08: options ---------------------------------------------------------------------------------

const ODD = [null, 0, 1, -1, NaN, 1e99, 10n, true, '', 'x', '\0', {}, [], [null], [[]], Symbol('s'),
             () => {}, Buffer.alloc(0), Buffer.alloc(70000), new Uint32Array(3), new Date(),
             new Proxy({}, {})];

const OPTIONS = ['ca', 'cert', 'key', 'pfx', 'passphrase', 'crl', 'ciphers', 'sigalgs', 'ecdhCurve',
                 'dhparam', 'minVersion', 'maxVersion', 'secureProtocol', 'secureOptions',
                 'sessionIdContext', 'ticketKeys', 'sessionTimeout', 'honorCipherOrder',
                 'ALPNProtocols', 'SNICallback', 'ALPNCallback', 'pskCallback', 'pskIdentityHint',
                 'requestCert', 'rejectUnauthorized', 'handshakeTimeout', 'secureContext',
                 'servername', 'session', 'checkServerIdentity', 'minDHSize', 'requestOCSP',
                 'enableTrace', 'allowHalfOpen', 'highWaterMark', 'pauseOnConnect', 'strictEOF',
                 'allowPartialTrustChain', 'signal', 'onread', 'timeout', 'lookup', 'host'];

/** It works, or it throws an Error that says something; whatever it is, nothing breaks. */
function tries(make) {
  try {
    return make();
  } catch (error) {
    assert.ok(error instanceof Error && error.message, String(error));
    return undefined;
  }
}

function connectOddly(port, name, value) {
  const client = tries(() => tls.connect({ port, host: HOST, ca: all.ca, servername: 'localhost',
                                           [name]: value }));
  if (!client) return undefined;
  client.on('error', () => {});
  const over = new Promise((resolve) => client.once('close', resolve));
  client.once('secureConnect', () => client.destroy());
  return over;
}

for (const name of OPTIONS) {
  test(`A08 values of other types for ${name}`, async (t) => {
    const server = await serve(t, 'native', {});
    const clients = [];
    for (const value of ODD) {
      tries(() => tls.createSecureContext({ ...identity(), [name]: value }));
      tries(() => tls.createServer({ ...identity(), [name]: value }));
      // A wrong host would be looked up.
      if (name !== 'host' && name !== 'lookup')
        clients.push(connectOddly(server.port, name, value));
    }
    await Promise.all(clients);
    await assertServes(server);
  });
}

test('A08 other arguments than options', () => {
  for (const value of ODD) {
    tries(() => tls.createSecureContext(value));
    tries(() => tls.createServer(value));
    tries(() => tls.checkServerIdentity(value, value));
    tries(() => tls.convertALPNProtocols(value, {}));
    tries(() => new tls.Server(value, value));
    tries(() => new tls.TLSSocket(value, value)?.destroy?.());
    tries(() => new tls.SecureContext(value));
    const server = tls.createServer(identity());
    for (const name of ['addContext', 'setSecureContext', 'setTicketKeys'])
      tries(() => server[name](value, value));
  }
});

const METHODS = ['setSession', 'setServername', 'setMaxSendFragment', 'exportKeyingMaterial',
                 'getPeerCertificate', 'renegotiate', 'setTimeout', 'setNoDelay', 'setKeepAlive',
                 'setEncoding', 'setKeyCert', 'write', 'unshift', 'read'];

test('A08 other arguments of a socket\'s methods', async (t) => {
  const server = await serve(t, 'native', {}, (socket) => socket.resume());
  for (const value of ODD) {
    for (const name of METHODS) {
      const client = connect('native', server.port);
      tries(() => client[name]?.(value, value, value));
      client.destroy();
    }
    const client = await connected('native', server.port);
    for (const name of METHODS) tries(() => client[name]?.(value, value, value));
    client.destroy();
  }
  await assertServes(server);
});

test('A08 options whose getters throw, differ and change others', async (t) => {
  const thrown = new Error('from a getter');
  for (const name of ['key', 'cert', 'ca', 'ciphers', 'minVersion']) {
    const options = { ...identity(), get [name]() { throw thrown; } };
    assert.throws(() => tls.createSecureContext(options), thrown);
    assert.throws(() => tls.createServer(options), thrown);
  }
  const moody = identity();
  Object.defineProperty(moody, 'key', {
    enumerable: true,
    get() {
      delete moody.cert;
      return all.server.key;
    },
  });
  tries(() => tls.createServer(moody));
  let asked = 0;
  const list = [all.ca];
  const shrinking = {
    ...identity(),
    get ca() {
      if (asked++ % 2) return list;
      list.length = 0;
      return 7;
    },
  };
  tries(() => tls.createServer(shrinking));
  await assertServes(await serve(t, 'native', {}));
});

// -- A08: memory that goes away -------------------------------------------------------------------

function detach(view) {
  structuredClone(view.buffer, { transfer: [view.buffer] });
  return view;
}

function own(bytes) {
  const copy = new Uint8Array(bytes.length);
  copy.set(bytes);
  return copy;
}

function shared(bytes) {
  const view = new Uint8Array(new SharedArrayBuffer(bytes.length));
  view.set(bytes);
  return view;
}

test('A08 keys in memory that is detached or shared', async (t) => {
  for (const name of ['key', 'cert', 'ca', 'pfx', 'crl', 'ticketKeys', 'ALPNProtocols']) {
    const view = detach(own(all.server.key));
    tries(() => tls.createSecureContext({ ...identity(), [name]: view }));
    tries(() => tls.createServer({ ...identity(), [name]: view }));
  }
  const { key, cert } = identity();
  const view = own(key);
  const server = await serve(t, 'native', { key: view, cert: shared(cert) });
  detach(view);
  await assertServes(server);
});

async function heard(t, transport, act) {
  const server = await serve(t, transport, { allowHalfOpen: true });
  const accepted = once(server, 'secureConnection');
  const client = await connected(transport, server.port);
  const [socket] = await accepted;
  const bytes = bytesOf(socket);
  socket.pause();
  await act(client);
  client.end();
  socket.resume();
  const all = await bytes;
  socket.end();
  return all;
}

for (const transport of TRANSPORTS) {
  test(`A08 empty, shared and detached writes, ${transport}`, async (t) => {
    const bytes = await heard(t, transport, async (client) => {
      await new Promise((resolve) => client.write(Buffer.alloc(0), resolve));
      await new Promise((resolve) => client.write('', resolve));
      assert.throws(() => client.write(detach(own(Buffer.from('gone')))), TypeError);
      client.write(detach(Buffer.from(new ArrayBuffer(4))));
      client.write(shared(Buffer.from('shared')));
      client.cork();
      client.write(new Uint8Array(0));
      client.write('text');
      client.write(detach(Buffer.from(new ArrayBuffer(4))));
      client.uncork();
    });
    assert.strictEqual(bytes.toString(), 'sharedtext');
  });

  test(`A08 a pending write is detached or resized, ${transport}`, async (t) => {
    const size = 8 * 1024 * 1024;
    const resizable = new Uint8Array(new ArrayBuffer(size, { maxByteLength: size }));
    const detachable = new Uint8Array(size);
    await heard(t, transport, async (client) => {
      client.write(detachable);
      detach(detachable);
      client.write(resizable);
      resizable.buffer.resize?.(0); // node 18 cannot
    });
  });
}

test('A08 a socket that was never connected', async () => {
  const socket = new tls.TLSSocket();
  for (const name of ['getCipher', 'getProtocol', 'getSession', 'getPeerCertificate'])
    tries(() => socket[name]());
  socket.destroy();
  await once(socket, 'close');
  const over = new tls.TLSSocket(new net.Socket());
  over.destroy();
  await once(over, 'close');
});
