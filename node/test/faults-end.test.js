'use strict';
// Ends that the program makes, at whatever time: FAULTS.md C05 to C08.

const assert = require('node:assert');
const { once } = require('node:events');
const net = require('node:net');
const { test } = require('node:test');
const { builtinClient } = require('./support/builtin');
const { eachParty, meet } = require('./support/parties');
const { HOST, TRANSPORTS, serve, connect, connected, watch, assertServes } =
  require('./support/transports');

const EVENTS = ['connect', 'secureConnect', 'session', 'end', 'error', 'close'];

// When a client is destroyed; `before`: events that are in order until then.
const STAGES = {
  'at once': { at: (client) => client.destroy() },
  'while it connects': { at: (client) => setImmediate(() => client.destroy()),
                         before: ['connect'] },
  'when it is connected': { at: (client) => client.on('connect', () => client.destroy()),
                            before: ['connect'], only: 'native' },
  'when its hello is there': {
    at: (client, raw) => raw.then((socket) => socket.once('data', () => client.destroy())),
    before: ['connect'], mute: true,
  },
  'when it is secure': { at: (client) => client.on('secureConnect', () => client.destroy()),
                         before: ['connect', 'secureConnect'] },
};

/** A server that takes everything and says nothing. */
async function serveMute(t) {
  const door = net.createServer((raw) => raw.on('error', () => {}).resume());
  door.listen(0, HOST);
  await once(door, 'listening');
  t.after(() => door.close());
  door.port = door.address().port;
  door.door = door;
  return door;
}

for (const transport of TRANSPORTS) {
  for (const [name, { at, before = [], mute, only }] of Object.entries(STAGES)) {
    if (only && only !== transport) continue;
    test(`C05 a client is destroyed ${name}, ${transport}`, async (t) => {
      const server = await (mute ? serveMute(t) : serve(t, transport, {}));
      const raw = once(server.door, 'connection').then(([socket]) => socket);
      const client = connect(transport, server.port);
      const { seen, closed } = watch(client, EVENTS);
      at(client, raw);
      await closed;
      assert.strictEqual(seen.pop(), 'close');
      for (const event of seen) assert.ok(before.includes(event), event);
      if (!mute) await assertServes(server);
    });
  }
}

test('C05 a client is destroyed while its name is resolved', async (t) => {
  const server = await serve(t, 'native', {});
  let answer;
  const lookup = (host, options, callback) => { answer = () => callback(null, HOST, 4); };
  const client = connect('native', server.port, { host: 'localhost', lookup });
  const { seen, closed } = watch(client, EVENTS);
  client.destroy();
  await closed;
  answer();
  await assertServes(server);
  assert.deepStrictEqual(seen, ['close']);
});

// When the peer of a server goes away.
const LEAVINGS = {
  'before its hello': ({ raw }) => raw.on('connect', () => raw.destroy()),
  'after its hello': ({ raw }) => raw.once('data', () => raw.resetAndDestroy()),
  'in its hello': ({ raw, wire }) => {
    wire._write = (chunk, encoding, callback) => {
      raw.write(chunk.subarray(0, 50), () => raw.destroy());
      callback();
    };
  },
  'when it is secure': ({ raw, socket }) => socket.on('secureConnect', () => raw.resetAndDestroy()),
};

for (const transport of TRANSPORTS) {
  for (const [name, leave] of Object.entries(LEAVINGS)) {
    test(`C05 the peer of a server leaves ${name}, ${transport}`, async (t) => {
      const server = await serve(t, transport, {});
      const ends = [];
      const ended = new Promise((resolve) => {
        server.on('tlsClientError', () => resolve(ends.push('tlsClientError')));
        server.once('secureConnection', (socket) => {
          socket.resume().on('close', () => resolve(ends.push('close')));
        });
      });
      leave(builtinClient(t, server.port));
      await ended;
      await assertServes(server);
      assert.strictEqual(ends.length, 1, ends.join());
    });
  }
}

eachParty((role, transport) => {
  test(`C05 both sides end at once, ${role}, ${transport}`, async (t) => {
    const { ours, peer } = await meet(t, role, transport);
    const { seen, closed } = watch(ours, EVENTS);
    ours.resume();
    peer.socket.resume();
    ours.end('from us');
    peer.socket.end('from the peer');
    await once(peer.socket, 'end');
    peer.raw.end();
    await closed;
    assert.deepStrictEqual(seen.filter((event) => event !== 'session'), ['end', 'close']);
  });
});

// -- C06 ------------------------------------------------------------------------------------------

// What a program may do once more, or too late: nothing comes of it but what stands here.
const TWICE = {
  'destroy twice': { act: (s) => s.destroy().destroy(), events: ['close'] },
  'destroy in close': { act: (s) => s.on('close', () => s.destroy()).destroy(), events: ['close'] },
  'destroy, with an error, twice': {
    act: (s) => s.destroy(new Error('first')).destroy(new Error('second')),
    events: ['error undefined', 'close'],
  },
  'end after destroy': { act: (s) => s.destroy().end('late'), events: ['close'] },
  'end twice, then destroy': { act: (s) => s.end().end().destroy(), events: ['close'] },
  'write after destroy': {
    act: (s, note) => s.destroy().write('late', note), events: ['close'],
    error: 'ERR_STREAM_DESTROYED',
  },
  'write after end': {
    act: (s, note) => s.end().write('late', note), error: 'ERR_STREAM_WRITE_AFTER_END',
    events: ['error ERR_STREAM_WRITE_AFTER_END', 'close'],
  },
  'write in close': {
    act: (s, note) => s.on('close', () => s.write('late', note)).destroy(), events: ['close'],
    error: 'ERR_STREAM_DESTROYED',
  },
  'read, pause and pipe after destroy': {
    act: (s) => s.destroy().pause().resume().pipe(s).read(), events: ['close'],
  },
  'ask after destroy': { act: askEverything, events: ['close'] },
};

function askEverything(socket) {
  socket.destroy();
  const ask = () => {
    for (const name of ['getCipher', 'getProtocol', 'getSession', 'getPeerCertificate',
                        'getCertificate', 'getEphemeralKeyInfo', 'getFinished', 'getPeerFinished',
                        'getTLSTicket', 'isSessionReused', 'getSharedSigalgs', 'address'])
      socket[name]();
    for (const name of ['setTimeout', 'setNoDelay', 'setKeepAlive', 'setMaxSendFragment'])
      socket[name](name === 'setTimeout' ? 0 : 1024);
    socket.unref().ref();
    assert.throws(() => socket.exportKeyingMaterial(16, 'label'));
  };
  ask();
  socket.on('close', ask);
}

eachParty((role, transport) => {
  for (const [name, { act, events, error }] of Object.entries(TWICE)) {
    test(`C06 ${name}, ${role}, ${transport}`, async (t) => {
      const { ours } = await meet(t, role, transport);
      const { seen, closed } = watch(ours, ['error', 'close']);
      const noted = [];
      act(ours, (told) => noted.push(told?.code));
      await closed;
      assert.deepStrictEqual(seen, events);
      assert.deepStrictEqual(noted, error ? [error] : []);
    });
  }
});

// -- C07 ------------------------------------------------------------------------------------------

eachParty((role, transport) => {
  test(`C07 every pending write is answered once on destroy, ${role}, ${transport}`, async (t) => {
    const { ours, peer } = await meet(t, role, transport);
    peer.raw.pause();
    peer.wire.pause();
    const answers = Array.from({ length: 300 }, () => []);
    const chunk = Buffer.alloc(65536);
    for (const answer of answers) ours.write(chunk, (error) => answer.push(error));
    assert.strictEqual(ours.writableNeedDrain, true);
    const { seen, closed } = watch(ours, ['drain', 'error', 'close']);
    ours.destroy();
    await closed;
    assert.deepStrictEqual(seen, ['close']);
    assert.ok(answers.every((answer) => answer.length === 1));
    assert.strictEqual(answers.at(-1)[0].code, 'ERR_STREAM_DESTROYED');
  });

  test(`C07 and once when the peer resets, ${role}, ${transport}`, async (t) => {
    const { ours, peer } = await meet(t, role, transport);
    peer.raw.pause();
    peer.wire.pause();
    const answers = Array.from({ length: 300 }, () => []);
    const { seen, closed } = watch(ours, ['drain', 'error', 'close']);
    const chunk = Buffer.alloc(65536);
    for (const answer of answers) ours.write(chunk, (error) => answer.push(error));
    peer.raw.resetAndDestroy();
    await closed;
    assert.ok(answers.every((answer) => answer.length === 1));
    assert.ok(answers.at(-1)[0] instanceof Error);
    assert.match(seen.join(), /^error (ECONNRESET|EPIPE),close$/);
  });
});

// -- C08 ------------------------------------------------------------------------------------------

async function rawTo(t, port) {
  const raw = net.connect(port, HOST);
  raw.on('error', () => {});
  t.after(() => raw.destroy());
  await once(raw, 'connect');
  return raw;
}

test('C08 close() waits for connections, secure or not, and takes no more', async (t) => {
  const server = await serve(t, 'native', {}, (socket) => socket.pipe(socket));
  const events = [];
  server.on('close', () => events.push('close'));
  const live = await connected('native', server.port);
  const shy = [await rawTo(t, server.port), await rawTo(t, server.port)];
  live.write('before');
  await once(live, 'data');
  const closed = new Promise((resolve) => server.close(resolve));
  assert.strictEqual(server.listening, false);
  const late = connect('native', server.port);
  const [error] = await once(late, 'error');
  assert.strictEqual(error.code, 'ECONNREFUSED');
  live.write('afterwards');
  assert.strictEqual((await once(live, 'data')).toString(), 'afterwards');
  live.end();
  await once(live, 'close');
  assert.deepStrictEqual(events, []);
  for (const raw of shy) raw.destroy();
  await closed;
  await new Promise(setImmediate);
  assert.deepStrictEqual(events, ['close']);
  const again = await new Promise((resolve) => server.close(resolve));
  assert.strictEqual(again.code, 'ERR_SERVER_NOT_RUNNING');
});

test('C08 a handshake that is under way when close() is called is finished', async (t) => {
  const server = await serve(t, 'native', {}, (socket) => socket.end('welcome'));
  const { socket, wire } = builtinClient(t, server.port);
  const closed = new Promise((resolve) => {
    wire.raw.once('data', () => server.close(resolve)); // the server's first flight
  });
  const [data] = await once(socket, 'data');
  assert.strictEqual(data.toString(), 'welcome');
  socket.destroy();
  await closed;
});
