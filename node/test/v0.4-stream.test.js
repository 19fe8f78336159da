'use strict';
// The cleartext stream as programs of the time used it.

const assert = require('node:assert');
const { once } = require('node:events');
const net = require('node:net');
const { Stream } = require('node:stream');
const { test } = require('node:test');
const { tls, keys, identity, serve, portOf, connected, text } = require('./support/old');

/** What util.pump did: moves everything, with back-pressure, and calls back once. */
function pump(from, to, callback) {
  const done = (error) => {
    if (callback) callback(error);
    callback = null;
  };
  from.on('data', (data) => {
    if (to.write(data) === false) from.pause();
  });
  to.on('drain', () => from.resume());
  from.on('end', () => to.end());
  from.on('close', () => done());
  from.on('error', done);
  to.on('error', done);
}

test('the stream of the listener is a Stream and takes listeners right there', async (t) => {
  const heard = new Promise((resolve) => {
    serve(t, identity(), (s) => {
      assert.ok(s instanceof Stream);
      text(s).then(resolve);
    }).then((server) => connected(portOf(server))).then((stream) => stream.end('at once'));
  });
  assert.strictEqual(await heard, 'at once');
});

test('it flows without a data listener: end and close come', async (t) => {
  const server = await serve(t, identity(), (s) => s.end('nobody listens to this'));
  const stream = await connected(portOf(server));
  await once(stream, 'close');
});

test('setEncoding: texts, and no character is cut', async (t) => {
  const message = 'hello world€';
  const bytes = Buffer.from(message);
  const server = await serve(t, identity(), (s) => {
    s.write(bytes.subarray(0, bytes.length - 2));
    setImmediate(() => s.end(bytes.subarray(bytes.length - 2)));
  });
  const stream = await connected(portOf(server));
  stream.setEncoding('utf8');
  let all = '';
  stream.on('data', (data) => {
    assert.strictEqual(typeof data, 'string');
    all += data;
  });
  await once(stream, 'end');
  assert.strictEqual(all, message);
});

test('write with an encoding, and with a callback', async (t) => {
  const server = await serve(t, identity());
  const accepted = once(server, 'secureConnection');
  const stream = await connected(portOf(server));
  const [cleartext] = await accepted;
  const heard = text(cleartext);
  stream.write('aGVs', 'base64');
  stream.write('6c6f20', 'hex', () => stream.end('w\u00f6rld', 'latin1'));
  cleartext.setEncoding('latin1');
  assert.strictEqual(await heard, 'hello w\u00f6rld');
});

test('s.pipe(s) gives everything back', async (t) => {
  const server = await serve(t, identity(), (s) => s.pipe(s));
  const stream = await connected(portOf(server));
  const sent = Buffer.alloc(3 * 1024 * 1024 + 17, 'securepair ');
  const parts = [];
  stream.on('data', (data) => parts.push(data));
  stream.end(sent);
  await once(stream, 'end');
  assert.ok(Buffer.concat(parts).equals(sent));
});

test('pump in place of pipe', async (t) => {
  const server = await serve(t, identity(), (s) => pump(s, s));
  const stream = await connected(portOf(server));
  const sent = Buffer.alloc(2 * 1024 * 1024, 'x');
  let received = 0;
  stream.on('data', (data) => { received += data.length; });
  stream.end(sent);
  await once(stream, 'close');
  assert.strictEqual(received, sent.length);
});

test('pause in the listener: nothing comes before resume', async (t) => {
  const server = await serve(t, identity());
  const accepted = once(server, 'secureConnection');
  const client = connected(portOf(server));
  const [cleartext] = await accepted;
  let heard = '';
  let paused = true;
  cleartext.pause();
  cleartext.on('data', (data) => {
    assert.strictEqual(paused, false);
    heard += data;
  });
  const stream = await client;
  await new Promise((resolve) => stream.write('wait for it', resolve));
  const other = await connected(portOf(server)); // a whole handshake later
  other.destroy();
  assert.strictEqual(heard, '');
  paused = false;
  cleartext.resume();
  stream.end();
  await once(cleartext, 'end');
  assert.strictEqual(heard, 'wait for it');
});

test('pause stops the socket: a peer that floods is held up', async (t) => {
  const server = await serve(t, identity());
  const accepted = once(server, 'secureConnection');
  const stream = await connected(portOf(server));
  const [cleartext] = await accepted;
  cleartext.pause();
  const chunk = Buffer.alloc(64 * 1024);
  let sent = 0;
  const flood = () => {
    do sent += chunk.length;
    while (stream.write(chunk) && sent < 256 * 1024 * 1024);
  };
  stream.on('drain', flood);
  flood();
  for (let last = -1; last !== sent; await connected(portOf(server)).then((s) => s.destroy()))
    last = sent;
  assert.ok(sent < 64 * 1024 * 1024, `${sent} bytes went to a paused stream`);
  stream.removeListener('drain', flood);
  let received = 0;
  cleartext.on('data', (data) => { received += data.length; });
  cleartext.resume();
  stream.end();
  await once(cleartext, 'end');
  assert.strictEqual(received, sent);
});

test('throttle: 12 MB with pause and resume at each chunk', async (t) => {
  const size = 12 * 1024 * 1024;
  const server = await serve(t, identity(), (s) => s.end(Buffer.alloc(size, 'a')));
  const stream = await connected(portOf(server));
  let received = 0;
  stream.on('data', (data) => {
    received += data.length;
    stream.pause();
    setImmediate(() => stream.resume());
  });
  await once(stream, 'end');
  assert.strictEqual(received, size);
});

test('write answers false from 128 KiB pending; drain comes later and only then', async (t) => {
  const server = await serve(t, identity(), (s) => s.resume());
  const stream = await connected(portOf(server));
  let drained = 0;
  stream.on('drain', () => { drained++; });
  assert.strictEqual(stream.write('a little'), true);
  await connected(portOf(server)).then((s) => s.destroy());
  assert.strictEqual(drained, 0);
  const answer = stream.write(Buffer.alloc(64 * 1024 * 1024));
  assert.strictEqual(answer, false);
  assert.strictEqual(drained, 0);
  await once(stream, 'drain');
  stream.end();
  await once(stream, 'close');
  assert.strictEqual(drained, 1);
});

test('a write before the handshake counts, and arrives', async (t) => {
  const server = await serve(t, identity());
  const accepted = once(server, 'secureConnection');
  const stream = tls.connect(portOf(server), '127.0.0.1', { ca: [keys().ca] });
  assert.strictEqual(stream.write(Buffer.alloc(100 * 1024)), true);
  assert.strictEqual(stream.write(Buffer.alloc(100 * 1024)), false);
  stream.end();
  const [cleartext] = await accepted;
  assert.strictEqual((await text(cleartext)).length, 200 * 1024);
});

test('end when already ended is ignored; close comes once, on both', async (t) => {
  const server = await serve(t, identity());
  const accepted = once(server, 'secureConnection');
  const stream = await connected(portOf(server));
  const [cleartext, encrypted] = await accepted;
  const closed = [];
  for (const [name, side] of Object.entries({ stream, cleartext, encrypted }))
    side.on('close', () => closed.push(name));
  cleartext.end('last words');
  cleartext.end();
  cleartext.end('and others');
  assert.strictEqual(await text(stream), 'last words');
  stream.end();
  while (closed.length < 3) await new Promise(setImmediate);
  cleartext.end();
  cleartext.destroy();
  await new Promise(setImmediate);
  assert.deepStrictEqual(closed.sort(), ['cleartext', 'encrypted', 'stream']);
});

test('no half-close: the end of either side ends both', async (t) => {
  for (const ender of ['client', 'server']) {
    const server = await serve(t, identity());
    const accepted = once(server, 'secureConnection');
    const stream = await connected(portOf(server));
    const [cleartext] = await accepted;
    const both = [once(stream, 'close'), once(cleartext, 'close')];
    (ender === 'client' ? stream : cleartext).end();
    await Promise.all(both);
    assert.strictEqual(stream.readyState, 'closed');
    assert.strictEqual(cleartext.readyState, 'closed');
  }
});

test('an answer that comes after the end of who asked is dropped', async (t) => {
  const server = await serve(t, identity());
  const accepted = once(server, 'secureConnection');
  const stream = await connected(portOf(server));
  const [cleartext] = await accepted;
  const closed = once(cleartext, 'close');
  cleartext.on('end', () => setImmediate(() => cleartext.end('too late')));
  stream.end();
  await closed;
});

test('destroySoon lets go what was written, destroy does not wait', async (t) => {
  const server = await serve(t, identity(), (s) => {
    s.write('this first');
    s.destroySoon();
    s.destroySoon();
  });
  assert.strictEqual(await text(await connected(portOf(server))), 'this first');
});

test('readyState: opening, open, closed', async (t) => {
  const server = await serve(t, identity());
  const stream = tls.connect(portOf(server), '127.0.0.1');
  assert.strictEqual(stream.readyState, 'opening');
  await once(server, 'secureConnection');
  assert.strictEqual(stream.readyState, 'open');
  assert.ok(stream.readable && stream.writable);
  stream.destroy();
  assert.strictEqual(stream.readyState, 'closed');
  await once(stream, 'close');
});

test('a request times out: timeout once, and the stream lives on', async (t) => {
  const server = await serve(t, identity(), (s) => {
    s.setTimeout(20);
    s.on('timeout', () => s.end('too slow'));
  });
  const stream = await connected(portOf(server));
  assert.strictEqual(await text(stream), 'too slow');
});

test('setTimeout with a callback, and 0 turns it off', async (t) => {
  const server = await serve(t, identity(), (s) => s.setTimeout(20, () => s.end('late')));
  const stream = await connected(portOf(server));
  stream.setTimeout(1, () => assert.fail('timeout'));
  stream.setTimeout(0);
  assert.strictEqual(await text(stream), 'late');
});

test('setNoDelay and setKeepAlive are there', async (t) => {
  const server = await serve(t, identity(), (s) => s.setNoDelay(true));
  const stream = await connected(portOf(server));
  stream.setNoDelay();
  stream.socket.setKeepAlive(true, 1000);
  stream.end();
  await once(stream, 'close');
});

test('a reset after the handshake: one error on cleartext, then close', async (t) => {
  const server = await serve(t, identity());
  const accepted = once(server, 'secureConnection');
  const relayed = await relay(t, portOf(server));
  const stream = tls.connect(relayed.port, '127.0.0.1');
  stream.on('error', () => {});
  const [cleartext] = await accepted;
  const events = [];
  cleartext.on('error', (error) => events.push(error.code));
  cleartext.on('close', () => events.push('close'));
  relayed.reset();
  await new Promise((resolve) => cleartext.on('close', resolve));
  assert.deepStrictEqual(events, ['ECONNRESET', 'close']);
});

test('junk after the handshake: one error on cleartext, then close', async (t) => {
  const server = await serve(t, identity());
  const accepted = once(server, 'secureConnection');
  const relayed = await relay(t, portOf(server));
  const stream = tls.connect(relayed.port, '127.0.0.1');
  stream.on('error', () => {});
  const [cleartext] = await accepted;
  const events = [];
  cleartext.on('error', (error) => events.push(error.code));
  cleartext.on('close', () => events.push('close'));
  relayed.inject(Buffer.from([23, 3, 3, 0, 20, ...Buffer.alloc(20, 7)]));
  await new Promise((resolve) => cleartext.on('close', resolve));
  assert.deepStrictEqual(events, ['ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC', 'close']);
});

test('every write callback is called once, also when the stream is destroyed', async (t) => {
  const server = await serve(t, identity());
  const accepted = once(server, 'secureConnection');
  const stream = await connected(portOf(server));
  const [cleartext] = await accepted;
  cleartext.pause();
  const called = [];
  for (let i = 0; i < 20; i++) stream.write(Buffer.alloc(1024 * 1024), () => called.push(i));
  stream.on('error', () => {});
  stream.destroy();
  await once(stream, 'close');
  cleartext.destroy();
  assert.deepStrictEqual(called.sort((a, b) => a - b), [...Array(20).keys()]);
});

/** Between one client and the server: what goes to the server can be reset or added to. */
async function relay(t, port) {
  let upstream;
  const middle = net.createServer((socket) => {
    upstream = net.connect(port, '127.0.0.1');
    socket.pipe(upstream).pipe(socket);
    for (const side of [socket, upstream]) side.on('error', () => side.destroy());
    upstream.on('close', () => socket.destroy());
  }).listen(0, '127.0.0.1');
  await once(middle, 'listening');
  t.after(() => middle.close());
  return {
    port: middle.address().port,
    reset: () => upstream.resetAndDestroy(),
    inject: (bytes) => upstream.write(bytes),
  };
}
