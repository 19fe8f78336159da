'use strict';
// What programs and peers do to a stream at the wrong moment: one close each, and no crash.

const assert = require('node:assert');
const { once } = require('node:events');
const net = require('node:net');
const { test } = require('node:test');
const { tls, keys, identity, serve, portOf, connected, text, sClient } = require('./support/old');

const ACTIONS = {
  'destroy': (near) => near.destroy(),
  'destroy the peer': (near, far) => far.destroy(),
  'destroy the pair': (near) => near.pair.destroy(),
  'end': (near) => near.end(),
  'end with data': (near) => near.end('last'),
  'write much and end': (near) => near.end(Buffer.alloc(1024 * 1024)),
  'pause and end': (near, far) => { near.pause(); near.end(); far.end(); },
  'destroy soon': (near) => near.destroySoon(),
};
const MOMENTS = ['secure', 'data', 'end', 'close', 'drain', 'timeout'];

/** Resolves with what `stream` emitted at its end. */
function fate(stream) {
  return new Promise((resolve) => {
    const events = [];
    stream.on('error', () => events.push('error'));
    stream.on('close', () => {
      events.push('close');
      setImmediate(resolve, events);
    });
  });
}

function act(action, near, far) {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    action(near, far);
  };
}

// Both sides talk until `action` on the near one, or until all is said.
function converse(moment, action, near, far) {
  const now = act(action, near, far);
  if (moment === 'timeout') near.setTimeout(1);
  near.on(moment, now);
  near.on('data', () => near.end());
  far.on('data', () => {});
  if (moment === 'drain') near.write(Buffer.alloc(8 * 1024 * 1024));
  if (moment !== 'timeout') far.write('hello');
  if (moment === 'secure') now();
}

async function onSockets(t, side, moment, action) {
  const server = await serve(t, identity());
  const accepted = once(server, 'secureConnection');
  const client = await connected(portOf(server));
  const [cleartext] = await accepted;
  const [near, far] = side === 'client' ? [client, cleartext] : [cleartext, client];
  return play(moment, action, near, far);
}

async function onPairs(t, side, moment, action) {
  const one = tls.createSecurePair(tls.createCredentials({ ca: [keys().ca] }), false);
  const two = tls.createSecurePair(tls.createCredentials(identity()), true);
  one.encrypted.pipe(two.encrypted);
  two.encrypted.pipe(one.encrypted);
  await Promise.all([once(one, 'secure'), once(two, 'secure')]);
  const [near, far] = side === 'client' ? [one.cleartext, two.cleartext]
    : [two.cleartext, one.cleartext];
  const alive = setInterval(() => {}, 1000); // memory alone does not keep a process
  const ends = await play(moment, action, near, far);
  clearInterval(alive);
  return ends;
}

function play(moment, action, near, far) {
  const fates = [fate(near), fate(far)];
  converse(moment, action, near, far);
  return Promise.all(fates);
}

for (const [where, scene] of Object.entries({ sockets: onSockets, pairs: onPairs })) {
  for (const side of ['client', 'server']) {
    test(`whatever is done in callbacks of the ${side}, on ${where}`, async (t) => {
      for (const moment of MOMENTS) {
        for (const [name, action] of Object.entries(ACTIONS)) {
          const ends = await scene(t, side, moment, action);
          for (const events of ends)
            assert.match(events.join(), /^(error,)?close$/, `${name} in ${moment}`);
        }
      }
    });
  }
}

test('a peer that goes without a close_notify: end comes, and truncated says so', async (t) => {
  const server = await serve(t, identity());
  const accepted = once(server, 'secureConnection');
  let raw;
  const middle = net.createServer((socket) => {
    raw = net.connect(portOf(server), '127.0.0.1');
    socket.pipe(raw, { end: false });
    raw.pipe(socket);
    raw.on('error', () => {});
  }).listen(0, '127.0.0.1');
  await once(middle, 'listening');
  t.after(() => middle.close());
  const stream = tls.connect(portOf(middle), '127.0.0.1');
  stream.on('error', () => {});
  const [cleartext] = await accepted;
  raw.end();
  await once(cleartext, 'end');
  assert.strictEqual(cleartext.truncated, true);
  stream.destroy();
});

test('a clean end is none', async (t) => {
  const server = await serve(t, identity());
  const accepted = once(server, 'secureConnection');
  const stream = await connected(portOf(server));
  const [cleartext] = await accepted;
  stream.end();
  await once(cleartext, 'end');
  assert.strictEqual(cleartext.truncated, false);
});

test('our end says goodbye before it goes: openssl sees a clean one', async (t) => {
  const server = await serve(t, identity(), (s) => s.end('bye\n'));
  const peer = sClient(t, portOf(server), '-msg', '-tls1_2');
  await peer.gone;
  assert.match(peer.said, /<<< TLS 1\.2.*Alert.*\n.*01 00/);
});

test('both ends at once', async (t) => {
  const server = await serve(t, identity());
  const accepted = once(server, 'secureConnection');
  const stream = await connected(portOf(server));
  const [cleartext] = await accepted;
  const fates = [fate(stream), fate(cleartext)];
  stream.end('one');
  cleartext.end('two');
  assert.deepStrictEqual(await Promise.all(fates), [['close'], ['close']]);
});

test('write after end is an error for its callback, and no crash', async (t) => {
  const server = await serve(t, identity());
  const stream = await connected(portOf(server));
  stream.on('error', () => {});
  stream.end();
  const error = await new Promise((resolve) => stream.write('late', resolve));
  assert.strictEqual(error.code, 'ERR_STREAM_WRITE_AFTER_END');
});

test('calls on a stream that is gone do nothing', async (t) => {
  const server = await serve(t, identity(), (s) => s.end());
  const stream = await connected(portOf(server));
  await once(stream, 'close');
  for (const name of ['end', 'destroy', 'destroySoon', 'pause', 'resume', 'setNoDelay',
                      'setKeepAlive', 'getPeerCertificate', 'getCipher', 'getSession'])
    assert.doesNotThrow(() => stream[name](), name);
  stream.setTimeout(10);
  stream.pair.destroy();
  stream.encrypted.destroy();
  assert.deepStrictEqual(stream.getPeerCertificate(), {});
  assert.strictEqual(stream.pair.ssl.getCurrentCipher(), null);
});

test('what cannot be written throws or fails, and harms nobody', async (t) => {
  const server = await serve(t, identity());
  const accepted = once(server, 'secureConnection');
  const stream = await connected(portOf(server));
  const [cleartext] = await accepted;
  for (const bad of [undefined, null, 7, {}, []])
    assert.throws(() => stream.write(bad), TypeError);
  const heard = text(cleartext);
  stream.write('');
  stream.write(Buffer.alloc(0));
  stream.write(new Uint8Array([104, 105]));
  stream.end();
  assert.strictEqual(await heard, 'hi');
});

test('a peer that never reads: what write took stays within bounds', async (t) => {
  const server = await serve(t, identity());
  const accepted = once(server, 'secureConnection');
  const stream = await connected(portOf(server));
  const [cleartext] = await accepted;
  cleartext.pause();
  const chunk = Buffer.alloc(64 * 1024);
  let refused = 0;
  for (let i = 0; i < 2000 && refused < 10; i++) {
    if (stream.write(chunk)) continue;
    refused++;
    await new Promise(setImmediate);
  }
  assert.strictEqual(refused, 10);
  assert.ok(stream.writableLength <= 11 * chunk.length + 128 * 1024, `${stream.writableLength}`);
  stream.destroy();
  cleartext.destroy();
});

test('many who come at once and go at once: the count is right', async (t) => {
  const server = await serve(t, identity());
  server.maxConnections = 3;
  const visits = [];
  for (let i = 0; i < 200; i++) {
    const stream = tls.connect(portOf(server), '127.0.0.1', () => stream.end());
    visits.push(fate(stream));
    assert.ok(server.connections >= 0 && server.connections <= 3);
  }
  await Promise.all(visits);
  while (server.connections > 0) await new Promise(setImmediate);
  const stream = await connected(portOf(server));
  assert.strictEqual(server.connections, 1);
  stream.end();
});

test('an exception in a hook of today\'s fails that connection, and no other', async (t) => {
  const SNICallback = (name, callback) => {
    if (name === 'a.example') throw new Error('of the program');
    callback(null);
  };
  const server = await serve(t, { ...identity(), SNICallback }, (s) => s.end('fine'));
  const bad = tls.connect(portOf(server), '127.0.0.1', { servername: 'a.example' });
  assert.deepStrictEqual(await fate(bad), ['error', 'close']);
  assert.strictEqual(await text(await connected(portOf(server), { ca: [keys().ca],
    servername: 'localhost' })), 'fine');
});
