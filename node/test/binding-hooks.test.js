'use strict';
// What the binding asks JavaScript during a handshake.

const assert = require('node:assert');
const { test } = require('node:test');
const { keys } = require('./support/keys');
const { binding, unowned, once, serve, connect, stop } = require('./support/native');

const { HOOKS } = binding;
const all = keys();
const forClient = new binding.Context({ ca: [all.ca] });

async function handshake(t, listeners, forServer, client = forClient, options = {}) {
  const server = serve(forServer, listeners);
  t.after(() => stop(server));
  const stream = await connect(server.port, client, options);
  const sessions = [];
  stream.onsession = (session) => sessions.push(session);
  const [status] = await once(stream, 'onsecure');
  return { server, stream, status, sessions };
}

function serverContext(more) {
  return new binding.Context({ identities: [all.server], ...more });
}

for (const late of [false, true])
  test(`a context by server name${late ? ', later' : ''}`, async (t) => {
    const forA = new binding.Context({ identities: [all.a] });
    const asked = [];
    let made;
    const onservername = (stream, name) => {
      asked.push(name);
      made = stream;
      const answer = () => {
        assert.strictEqual(stream.useContext(forA), 0);
        assert.strictEqual(stream.proceed(0), 0);
      };
      if (late) setImmediate(answer); else answer();
    };
    let connect;
    const connected = new Promise((resolve) => { connect = resolve; });
    const onconnection = connect;
    const { stream, status } = await handshake(t, { onservername, onconnection },
      serverContext({ hooks: HOOKS.SERVER_NAME }), forClient, { serverName: 'a.example' });
    assert.strictEqual(status, 0);
    assert.deepStrictEqual(asked, ['a.example']);
    assert.strictEqual(made, await connected);
    assert.strictEqual(made.serverName(), 'a.example');
    assert.ok(stream.peerCertificates()[0].equals(forA.certificate()));
    assert.ok(made.ownCertificate().equals(forA.certificate()));
  });

for (const late of [false, true])
  test(`a name that is refused${late ? ', later' : ''}`, async (t) => {
    const onservername = (stream) => {
      const answer = () => stream.proceed(-1);
      if (late) setImmediate(answer); else answer();
    };
    const { stream, status } = await handshake(t, { onservername },
      serverContext({ hooks: HOOKS.SERVER_NAME }));
    assert.ok(status < 0);
    assert.strictEqual(stream.error().alertName, 'handshake_failure');
    assert.match(stream.error().code, /^ERR_SSL_/);
  });

test('a hook that destroys its stream', async (t) => {
  const onservername = (stream) => stream.destroy();
  const { status } = await handshake(t, { onservername },
    serverContext({ hooks: HOOKS.SERVER_NAME }));
  assert.ok(status < 0);
});

test('a protocol', async (t) => {
  let asked;
  const onprotocols = (stream, name, wire) => {
    asked = [name, wire.toString()];
    stream.useProtocol('spdy');
    stream.proceed(0);
  };
  const client = new binding.Context({ ca: [all.ca], alpn: ['http/1.1', 'spdy'] });
  const { stream, status } = await handshake(t, { onprotocols },
    serverContext({ hooks: HOOKS.ALPN }), client);
  assert.strictEqual(status, 0);
  assert.deepStrictEqual(asked, ['localhost', '\bhttp/1.1\x04spdy']);
  assert.strictEqual(stream.alpn(), 'spdy');
});

test('a protocol that is refused, with its alert', async (t) => {
  const onprotocols = (stream) => {
    stream.refuse(120);
    stream.proceed(-1);
  };
  const client = new binding.Context({ ca: [all.ca], alpn: ['x'] });
  const { stream, status } = await handshake(t, { onprotocols },
    serverContext({ hooks: HOOKS.ALPN }), client);
  assert.ok(status < 0);
  assert.strictEqual(stream.error().alertName, 'no_application_protocol');
});

test('lines of the key log', async (t) => {
  const lines = [];
  unowned.onkeylog = (line) => lines.push(line.toString());
  t.after(() => { delete unowned.onkeylog; });
  const { status } = await handshake(t, {}, serverContext({ hooks: HOOKS.KEYLOG }));
  assert.strictEqual(status, 0);
  assert.ok(lines.length >= 4);
  for (const line of lines) assert.match(line, /^[A-Z0-9_]+ [0-9a-f]{64} [0-9a-f]+\n$/);
});

test('sessions of TLS 1.2 by their ids', async (t) => {
  const kept = new Map();
  let asked = 0;
  const listeners = {
    onstore: (stream, id, session) => kept.set(id.toString('hex'), session),
    onresume: (stream, id) => {
      asked++;
      setImmediate(() => {
        const session = kept.get(id.toString('hex'));
        if (session) stream.useSession(session);
        stream.proceed(0);
      });
    },
    onconnection: (stream) => { stream.onend = () => stream.end(); stream.readStart(); },
  };
  const forServer = serverContext({ hooks: HOOKS.SESSION_GET | HOOKS.SESSION_NEW,
    maxVersion: 0x0303, tickets: false });
  const { server, stream } = await handshake(t, listeners, forServer);
  assert.strictEqual(stream.isResumed(), false);
  assert.strictEqual(kept.size, 1);
  const askedBefore = asked; // a client that also speaks TLS 1.3 makes up an id
  const session = stream.session();
  const second = await connect(server.port, forClient, { session });
  assert.deepStrictEqual(await once(second, 'onsecure'), [0]);
  assert.strictEqual(asked, askedBefore + 1);
  assert.strictEqual(second.isResumed(), true);
});

test('a session of TLS 1.3', async (t) => {
  const listeners = { onconnection: (stream) => stream.write(Buffer.from('x')) };
  const forServer = serverContext();
  const { server, stream, sessions } = await handshake(t, listeners, forServer);
  const data = once(stream, 'ondata');
  stream.readStart();
  await data;
  assert.strictEqual(sessions.length, 1);
  const second = await connect(server.port, forClient, { session: sessions[0] });
  assert.deepStrictEqual(await once(second, 'onsecure'), [0]);
  assert.strictEqual(second.isResumed(), true);
});

test('an OCSP response, and none', async (t) => {
  for (const staple of [Buffer.from('a response'), null]) {
    const onstaple = (stream) => setImmediate(() => {
      if (staple) stream.useStaple(staple);
      stream.proceed(0);
    });
    const server = serve(serverContext({ hooks: HOOKS.OCSP }), { onstaple });
    t.after(() => stop(server));
    const stream = await connect(server.port, forClient, { requestOCSP: true });
    const received = once(stream, 'onocsp');
    assert.deepStrictEqual(await once(stream, 'onsecure'), [0]);
    assert.deepStrictEqual(await received, [staple]);
  }
});

for (const version of [0x0303, 0x0304])
  test(`keys that both know, version ${version.toString(16)}`, async (t) => {
    const key = Buffer.alloc(32, 7);
    const policy = { hooks: HOOKS.PSK, minVersion: version, maxVersion: version };
    if (version === 0x0303) policy.ciphers = 'PSK';
    const asked = [];
    const owner = { key };
    unowned.onpskclient = function onpskclient(stream) {
      assert.strictEqual(stream.owner, owner);
      return { identity: 'me', key: stream.owner.key };
    };
    t.after(() => { delete unowned.onpskclient; });
    const onpskserver = (stream, identity) => {
      asked.push(identity);
      return key;
    };
    const { stream, status } = await handshake(t, { onpskserver }, new binding.Context(policy),
      new binding.Context({ ...policy, ca: [] }), { owner, checkName: false });
    assert.strictEqual(status, 0, stream.error()?.text);
    assert.deepStrictEqual(asked, ['me']);
  });

test('failures are told where they are wanted', async (t) => {
  const server = serve(serverContext());
  t.after(() => stop(server));
  server.wants(binding.WANTS.FAILURES);
  const failure = once(server, 'onclienterror');
  const stream = await connect(server.port, new binding.Context({ ca: [all.otherCa] }));
  assert.ok((await once(stream, 'onsecure'))[0] < 0);
  assert.strictEqual(stream.error().verifyName, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE');
  const [failed] = await failure;
  assert.strictEqual(failed.error().who, 'peer');
  assert.strictEqual(failed.error().code, 'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA');
  await once(failed, 'onclose');
});
