'use strict';
// What a program throws, where it is asked and where it only listens: FAULTS.md A05, A06.

const assert = require('node:assert');
const { once } = require('node:events');
const net = require('node:net');
const { test } = require('node:test');
const { builtinClient } = require('./support/builtin');
const { runProgram } = require('./support/child');
const { TRANSPORTS, serve, connect, connected, watch, assertServes } =
  require('./support/transports');

const thrown = Object.assign(new Error('from the program'), { code: 'ERR_PROGRAM' });
const throws = () => { throw thrown; };

const PSK = { ciphers: 'PSK', minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2',
              checkServerIdentity: () => {} };
const psk = { identity: 'me', psk: Buffer.alloc(16, 1) };
const TYPE = 'ERR_INVALID_ARG_TYPE';

// What the server does when its client is `bad`; the code that tlsClientError has then.
const HOOKS = {
  'SNICallback throws': { hook: { SNICallback: throws } },
  'SNICallback has an error': { hook: { SNICallback: (name, answer) => answer(thrown) } },
  'SNICallback has an error, later': {
    hook: { SNICallback: (name, answer) => setImmediate(answer, thrown) },
  },
  'SNICallback answers no context': {
    hook: { SNICallback: (name, answer) => answer(null, {}) }, code: 'ERR_TLS_INVALID_CONTEXT',
  },
  'ALPNCallback throws': { hook: { ALPNCallback: throws }, client: { ALPNProtocols: ['x'] } },
  'ALPNCallback answers what was not offered': {
    hook: { ALPNCallback: () => 'y' }, client: { ALPNProtocols: ['x'] },
    code: 'ERR_TLS_ALPN_CALLBACK_INVALID_RESULT',
  },
  'pskCallback throws': {
    hook: { pskCallback: throws, ...PSK }, client: { ...PSK, pskCallback: () => psk },
  },
  'pskCallback answers a number': {
    hook: { pskCallback: () => 42, ...PSK }, client: { ...PSK, pskCallback: () => psk }, code: TYPE,
  },
};

/** The hooks go wrong once, and are as a good program's afterwards. */
function onceOnly(hook) {
  let first = true;
  const good = {
    SNICallback: (name, answer) => answer(null),
    ALPNCallback: ({ protocols }) => protocols[0],
    pskCallback: () => psk.psk,
  };
  return Object.fromEntries(Object.entries(hook).map(([name, value]) => {
    if (!good[name]) return [name, value];
    return [name, function choose(...all) {
      const bad = first;
      first = false;
      return (bad ? value : good[name]).apply(this, all);
    }];
  }));
}

for (const transport of TRANSPORTS) {
  for (const [name, { hook, client = {}, code = 'ERR_PROGRAM' }] of Object.entries(HOOKS)) {
    test(`A05 ${name}: that connection only, ${transport}`, async (t) => {
      const server = await serve(t, transport, onceOnly(hook));
      const failed = once(server, 'tlsClientError');
      const { seen, closed } = watch(connect(transport, server.port, client));
      const [error] = await failed;
      await closed;
      assert.strictEqual(error.code, code);
      assert.match(seen.filter((event) => event !== 'end').join(), /^error \w+,close$/);
      const accepted = once(server, 'secureConnection');
      const good = await connected(transport, server.port, client);
      await accepted;
      good.destroy();
    });
  }

  test(`A05 a client's checkServerIdentity throws, ${transport}`, async (t) => {
    const server = await serve(t, transport, {});
    const client = connect(transport, server.port, { checkServerIdentity: throws });
    const { seen, closed } = watch(client);
    await closed;
    assert.deepStrictEqual(seen, ['error ERR_PROGRAM', 'close']);
    await assertServes(server);
  });

  test(`A05 a client's pskCallback throws, ${transport}`, async (t) => {
    const server = await serve(t, transport, { ...PSK, pskCallback: () => psk.psk });
    const client = connect(transport, server.port, { ...PSK, pskCallback: throws });
    const { seen, closed } = watch(client);
    await closed;
    assert.deepStrictEqual(seen, ['error ERR_PROGRAM', 'close']);
    (await connected(transport, server.port, { ...PSK, pskCallback: () => psk })).destroy();
  });

  test(`A05 a hook answers too late, or twice, ${transport}`, async (t) => {
    const answers = [];
    const server = await serve(t, transport,
      { SNICallback: (name, answer) => answers.push(answer) && server.emit('asked') });
    server.once('tlsClientError', () => {});
    const { socket, raw } = builtinClient(t, server.port);
    await once(server, 'asked');
    raw.resetAndDestroy();
    socket.destroy();
    const patient = connect(transport, server.port);
    await once(server, 'asked');
    for (const answer of [...answers, ...answers]) answer(null);
    await once(patient, 'secureConnect');
    for (const answer of answers) answer(thrown);
    patient.destroy();
  });
}

// Events whose listeners throw: for the process to know, while the server goes on.
const LISTENERS = {
  'secureConnection of the server': "server.on('secureConnection', fail)",
  'data of its socket': "server.on('secureConnection', (s) => s.on('data', fail))",
  'secureConnect of the client': "before = (client) => client.on('secureConnect', fail)",
  'data of the client': "before = (client) => client.on('data', fail)",
  'keylog of the server': "server.on('keylog', fail)",
  'session of the client': "before = (client) => client.on('session', fail)",
  'close of the client': "before = (client) => client.on('close', fail)",
};

const LISTENING = `
  let failures = 0;
  let before = () => {};
  const limit = 2;
  const fail = () => { if (failures < limit) throw new Error('from a listener'); };
  process.on('uncaughtException', (error) => {
    if (error.message !== 'from a listener') console.log(error.stack);
    failures++;
    if (failures <= limit) setImmediate(next);
  });
  let port, client;
  function next() {
    if (client) client.destroy();
    client = kit.connect(port);
    client.on('secureConnect', () => client.write('x'));
    before(client);
    if (failures < limit) {
      client.on('data', () => client.end());
      return;
    }
    client.on('data', () => {
      console.log('failures', failures);
      server.close();
      process.exit();
    });
  }
  const echo = (socket) => socket.on('data', (data) => socket.write(data));
  const server = kit.listen({}, echo, (at) => {
    port = at;
    next();
  });
`;

for (const [name, attach] of Object.entries(LISTENERS)) {
  test(`A05 a listener throws, ${name}: uncaughtException, and the server goes on`, async () => {
    const { status, stdout, stderr } = await runProgram(`${LISTENING}${attach};`);
    assert.strictEqual(stdout, 'failures 2\n', stderr);
    assert.strictEqual(status, 0);
  });
}

for (const transport of TRANSPORTS) {
  test(`A06 a reset before anybody has the socket is nobody's error, ${transport}`, async (t) => {
    const server = await serve(t, transport, {});
    for (const stage of ['connect', 'data']) {
      const { raw } = builtinClient(t, server.port);
      await once(raw, stage);
      raw.resetAndDestroy();
      await once(raw, 'close');
    }
    const junk = net.connect(server.port, '127.0.0.1').on('error', () => {}).resume();
    junk.end('GET / HTTP/1.0\r\n\r\n');
    await once(junk, 'close');
    await assertServes(server);
  });

  test(`A06 an error in the listener's own turn, ${transport}`, async (t) => {
    const server = await serve(t, transport, {});
    const errors = [];
    server.prependListener('secureConnection', (socket) => {
      socket.on('error', (error) => errors.push(error.code));
      socket.on('close', () => server.emit('gone'));
      for (let i = 0; i < 100; i++) socket.write(Buffer.alloc(65536));
    });
    const gone = once(server, 'gone');
    const { socket, raw } = builtinClient(t, server.port);
    socket.once('data', () => raw.resetAndDestroy());
    await gone;
    assert.ok(errors.length <= 1, errors.join());
    await assertServes(server);
  });
}
