'use strict';
// What a review found: each of these failed once.

const assert = require('node:assert');
const { once } = require('node:events');
const net = require('node:net');
const { test } = require('node:test');
const { keys } = require('./support/keys');
const { tls, builtin } = require('./support/module');
const { TRANSPORTS, serve, connect, connected, watch } = require('./support/transports');

const pick = ({ key, cert }) => ({ key, cert });

// Node 21 and later throw for what cannot be transferred, earlier ones copy it.
function giveAway(port, chunk) {
  try {
    port.postMessage(chunk, [chunk.buffer]);
  } catch (error) {
    assert.strictEqual(error.name, 'DataCloneError');
  }
}

test('a client that named nobody has no authorized peer', {
  skip: builtin && 'the built-in waits for _start()',
}, async (t) => {
  const server = await serve(t, 'native', pick(keys().a));
  const raw = net.connect(server.port, '127.0.0.1');
  const client = new tls.TLSSocket(raw, { ca: keys().ca });
  client.resume();
  await once(client, 'secure');
  assert.strictEqual(client.authorized, false);
  client.destroy();
});

for (const transport of TRANSPORTS) {
  for (const thrown of [undefined, null, 0]) {
    test(`checkServerIdentity that throws ${thrown} refuses, ${transport}`, {
      skip: builtin && 'the built-in ends the process',
    }, async (t) => {
      const server = await serve(t, transport, {});
      const client = connect(transport, server.port, {
        checkServerIdentity() { throw thrown; },
      });
      const { seen, closed } = watch(client, ['secureConnect', 'error']);
      await closed;
      assert.deepStrictEqual(seen, ['error ERR_TLS_CERT_ALTNAME_INVALID']);
      assert.strictEqual(client.authorized, false);
    });
  }

  test(`a chunk that a program gives away is its own, ${transport}`, async (t) => {
    const server = await serve(t, transport, {}, (socket) => socket.pipe(socket));
    const [one, two] = await Promise.all([connected(transport, server.port),
                                          connected(transport, server.port)]);
    const { port1, port2 } = new MessageChannel();
    t.after(() => port1.close());
    for (const client of [one, two]) {
      for (const word of ['first', 'second', 'third']) {
        client.write(word);
        const [chunk] = await once(client, 'data');
        assert.strictEqual(chunk.toString(), word);
        giveAway(port2, chunk);
      }
      client.destroy();
    }
  });

  test(`a second answer to one question is not the answer to the next, ${transport}`, {
    skip: builtin && 'the built-in ends the connection',
  }, async (t) => {
    let answer;
    const server = await serve(t, transport, {
      SNICallback(name, callback) {
        answer = callback;
        setImmediate(callback, null, tls.createSecureContext(pick(keys().server)));
      },
    });
    const staple = Buffer.from('a staple');
    server.on('OCSPRequest', (certificate, issuer, callback) => {
      answer(new Error('too late'));
      setImmediate(callback, null, staple);
    });
    const client = connect(transport, server.port, { requestOCSP: true });
    const [response] = await once(client, 'OCSPResponse');
    assert.deepStrictEqual(response, staple);
    client.destroy();
  });

  for (const maxVersion of ['TLSv1.2', 'TLSv1.3']) {
    test(`a session of a server that asked for nobody, ${maxVersion}, ${transport}`, {
      skip: builtin && 'the built-in takes its client for authorized in TLS 1.3',
    }, async (t) => {
      const ticketKeys = Buffer.alloc(48, 7);
      const open = await serve(t, transport, { ticketKeys, maxVersion }, (s) => s.end('x'));
      const first = connect(transport, open.port);
      let session;
      first.on('session', (bytes) => { session = bytes; });
      first.resume();
      await once(first, 'close');
      const asking = await serve(t, transport, {
        ticketKeys, maxVersion, ca: keys().ca, requestCert: true, rejectUnauthorized: false,
      });
      const accepted = once(asking, 'secureConnection');
      const second = connect(transport, asking.port, { session });
      const [socket] = await accepted;
      assert.strictEqual(socket.authorized, false);
      second.destroy();
    });
  }

  test(`setServername after connect(): asked for, and not what is checked, ${transport}`,
    async (t) => {
      const server = await serve(t, transport, {});
      const accepted = once(server, 'secureConnection');
      const client = connect(transport, server.port, { servername: undefined, host: 'localhost' });
      client.setServername('a.example');
      await once(client, 'secureConnect');
      const [socket] = await accepted;
      assert.strictEqual(socket.servername, 'a.example');
      client.destroy();
    });

  // As one that SNICallback answers: its trust would be passed over with it.
  test(`a context without certificate is not passed over for the usual one, ${transport}`, {
    skip: builtin && 'the built-in shows the usual certificate',
  }, async (t) => {
    const server = await serve(t, transport, {});
    server.addContext('a.example', { ca: keys().ca });
    const client = connect(transport, server.port, { servername: 'a.example',
                                                     rejectUnauthorized: false });
    const { seen, closed } = watch(client, ['secureConnect', 'error']);
    client.on('secureConnect', () => client.destroy());
    await closed;
    assert.strictEqual(seen.length, 1);
    assert.match(seen[0], /^error ERR_SSL_/);
  });

  test(`setServername does not change who the server has to be, ${transport}`, async (t) => {
    const server = await serve(t, transport, pick(keys().a));
    const client = connect(transport, server.port, { servername: undefined, host: 'localhost' });
    client.setServername('a.example');
    const { seen, closed } = watch(client, ['secureConnect', 'error']);
    await closed;
    assert.deepStrictEqual(seen, ['error ERR_TLS_CERT_ALTNAME_INVALID']);
  });
}
