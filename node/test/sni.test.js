'use strict';
// Which certificate a server shows: addContext, SNICallback, setKeyCert.

const assert = require('node:assert');
const { once } = require('node:events');
const { test } = require('node:test');
const { keys } = require('./support/keys');
const { tls, builtin } = require('./support/module');
const { TRANSPORTS, serve, connect } = require('./support/transports');

const pick = ({ key, cert }) => ({ key, cert });

/** The common name that a client sees that asks for `servername`; or the error's code. */
async function shown(transport, server, servername) {
  const client = connect(transport, server.port, { servername, rejectUnauthorized: false });
  try {
    await once(client, 'secureConnect');
    return client.getPeerCertificate().subject.CN;
  } catch (error) {
    return error.code;
  } finally {
    client.destroy();
  }
}

for (const transport of TRANSPORTS) {
  test(`addContext: names, wildcards, any case, a trailing dot, ${transport}`, {
    skip: builtin && 'the built-in compares them as they are written',
  }, async (t) => {
    const server = await serve(t, transport, {});
    server.addContext('A.example', pick(keys().a));
    server.addContext('*.b.example', tls.createSecureContext(pick(keys().b)));
    assert.strictEqual(await shown(transport, server, 'a.example'), 'a.example');
    assert.strictEqual(await shown(transport, server, 'A.EXAMPLE'), 'a.example');
    assert.strictEqual(await shown(transport, server, 'x.B.example'), 'b.example');
    assert.strictEqual(await shown(transport, server, 'x.y.b.example'), 'localhost');
    assert.strictEqual(await shown(transport, server, 'localhost'), 'localhost');
    server.addContext('x.y.b.example.', pick(keys().a));
    assert.strictEqual(await shown(transport, server, 'x.y.b.example'), 'a.example');
  });

  test(`addContext: '*' stands for a part of a label, too, ${transport}`, async (t) => {
    const server = await serve(t, transport, {});
    server.addContext('mail*.example', pick(keys().a));
    server.addContext('*.*.b.example', pick(keys().b));
    assert.strictEqual(await shown(transport, server, 'mail7.example'), 'a.example');
    assert.strictEqual(await shown(transport, server, 'x.y.b.example'), 'b.example');
    assert.strictEqual(await shown(transport, server, 'xmail.example'), 'localhost');
  });

  test(`SNICallback: at once, later, no context, a bare context, ${transport}`, async (t) => {
    const asked = [];
    const server = await serve(t, transport, {
      SNICallback(name, callback) {
        asked.push(name);
        const context = tls.createSecureContext(pick(keys().a));
        if (name === 'now') callback(null, context);
        else if (name === 'later') setTimeout(callback, 5, null, context);
        else if (name === 'bare') callback(null, context.context);
        else callback();
      },
    });
    for (const [name, expected] of Object.entries({ now: 'a.example', later: 'a.example',
                                                     bare: 'a.example', none: 'localhost' }))
      assert.strictEqual(await shown(transport, server, name), expected);
    assert.deepStrictEqual(asked, ['now', 'later', 'bare', 'none']);
  });

  test(`SNICallback: an error, an exception, a second answer, ${transport}`, async (t) => {
    const answers = {
      error: (callback) => callback(new Error('no such name')),
      thrown: () => { throw new Error('no such name'); },
      wrong: (callback) => callback(null, { context: {} }),
    };
    const server = await serve(t, transport, {
      SNICallback(name, callback) {
        if (answers[name]) return answers[name](callback);
        callback(null, null);
        callback(null, null);
      },
    });
    const errors = [];
    server.on('tlsClientError', (error) => errors.push(error.message));
    await new Promise(setImmediate);
    for (const name of Object.keys(answers))
      assert.notStrictEqual(await shown(transport, server, name), 'localhost');
    if (!builtin) assert.strictEqual(await shown(transport, server, 'twice'), 'localhost');
    assert.strictEqual(errors[0], 'no such name');
    assert.strictEqual(errors[1], 'no such name');
  });

  test(`the server’s socket knows the name, ${transport}`, async (t) => {
    const server = await serve(t, transport, {});
    const accepted = once(server, 'secureConnection');
    const client = connect(transport, server.port, { servername: 'localhost' });
    const [socket] = await accepted;
    assert.strictEqual(socket.servername, 'localhost');
    client.destroy();
  });
}

test('addContext wants a name, and a context that works', () => {
  const server = tls.createServer(pick(keys().server));
  assert.throws(() => server.addContext('', {}), { code: 'ERR_TLS_REQUIRED_SERVER_NAME' });
  assert.throws(() => server.addContext('x', { key: 'junk', cert: keys().a.cert }));
});

test('another name’s context keeps the server’s policy on client certificates', async (t) => {
  const { ca, a, client: { key, cert } } = keys();
  const server = await serve(t, 'native', { requestCert: true, ca });
  server.addContext('a.example', { ...pick(a), ca });
  const accepted = once(server, 'secureConnection');
  const client = connect('native', server.port, { servername: 'a.example', key, cert });
  const [socket] = await accepted;
  assert.strictEqual(socket.authorized, true);
  assert.strictEqual(socket.getPeerCertificate().subject.CN, 'client');
  client.destroy();
  const told = once(server, 'tlsClientError');
  connect('native', server.port, { servername: 'a.example' });
  await told;
});
