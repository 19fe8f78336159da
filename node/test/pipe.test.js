'use strict';
// a.pipe(b) between two native sockets runs in C as long as nothing else takes part, with the
// events and the back-pressure of any pipe.

const assert = require('node:assert');
const { once } = require('node:events');
const { PassThrough } = require('node:stream');
const { test } = require('node:test');
const { builtin } = require('./support/module');
const { serve, connected, bytesOf } = require('./support/transports');
const is = require('../lib/symbols');

/** The client and the server's socket. */
async function both(t, options) {
  const server = await serve(t, 'native', options);
  const accepted = once(server, 'secureConnection');
  const client = await connected('native', server.port, options);
  const [socket] = await accepted;
  t.after(() => client.destroy());
  return { client, socket };
}

const ticks = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
const inC = (socket) => !!socket[is.nativePipe];
const data = Buffer.alloc(8 << 20);
for (let i = 0; i < data.length; i += 4) data.writeUInt32BE(i, i);

test('an echo: 8 MB there and back, whole, and it ends', async (t) => {
  const { client, socket } = await both(t);
  socket.write('welcome!\n');
  socket.pipe(socket);
  await ticks();
  if (!builtin) assert.ok(inC(socket));
  const closed = once(socket, 'close');
  client.end(data);
  const back = await bytesOf(client);
  assert.strictEqual(String(back.subarray(0, 9)), 'welcome!\n');
  assert.ok(back.subarray(9).equals(data));
  await closed;
  assert.strictEqual(socket.bytesRead, data.length);
  assert.strictEqual(socket.bytesWritten, data.length + 9);
});

test('the events are those of any pipe', async (t) => {
  const run = async (slow) => {
    const { client, socket } = await both(t);
    const closed = once(socket, 'close');
    const seen = [];
    for (const name of ['pipe', 'unpipe', 'end', 'finish', 'close'])
      socket.on(name, () => seen.push(name));
    if (slow) socket.on('data', () => {});
    socket.pipe(socket);
    client.end('x');
    await bytesOf(client);
    await closed;
    return seen;
  };
  assert.deepStrictEqual(await run(false), await run(true));
});

test('from one connection to another, with back-pressure', async (t) => {
  const one = await both(t);
  const two = await both(t);
  one.socket.pipe(two.socket);
  await ticks();
  if (!builtin) assert.ok(inC(one.socket));
  two.client.pause();
  one.client.write(data);
  await ticks();
  assert.ok(one.client.writableLength > 0);
  one.client.end();
  two.client.resume();
  assert.ok((await bytesOf(two.client)).equals(data));
});

test('{ end: false } leaves the other one open', async (t) => {
  const one = await both(t, { allowHalfOpen: true });
  const two = await both(t);
  one.socket.pipe(two.socket, { end: false });
  await ticks();
  one.client.end('first ');
  await once(one.socket, 'end');
  two.socket.end('second');
  assert.strictEqual(String(await bytesOf(two.client)), 'first second');
});

const TAKERS = {
  'a data listener': (socket, seen) => socket.on('data', (bytes) => seen.push(bytes)),
  'a readable listener': (socket, seen) => socket.on('readable', () => {
    for (let bytes; (bytes = socket.read()) !== null;) seen.push(bytes);
  }),
  'another pipe': (socket, seen) => socket.pipe(new PassThrough())
    .on('data', (bytes) => seen.push(bytes)),
};

for (const [name, take] of Object.entries(TAKERS)) {
  test(`${name} that comes later gets its bytes`, { skip: builtin }, async (t) => {
    const { client, socket } = await both(t);
    socket.pipe(socket);
    await ticks();
    client.write('in C');
    await once(client, 'data');
    const seen = [];
    take(socket, seen);
    assert.ok(!inC(socket));
    client.end('in JavaScript');
    const back = String(await bytesOf(client));
    if (!name.startsWith('a readable')) assert.strictEqual(back, 'in JavaScript');
    await ticks();
    assert.strictEqual(String(Buffer.concat(seen)), 'in JavaScript');
  });
}

test('setEncoding, pause and resume, read', { skip: builtin }, async (t) => {
  const { client, socket } = await both(t);
  socket.pipe(socket);
  await ticks();
  socket.pause();
  assert.ok(!inC(socket));
  client.write('later');
  await ticks();
  assert.strictEqual(client.readableLength, 0);
  socket.resume();
  assert.strictEqual(String((await once(client, 'data'))[0]), 'later');
  socket.setEncoding('latin1');
  client.end('é', 'latin1');
  await once(socket, 'end');
});

test('unpipe() stops it, pipe() begins again', async (t) => {
  const { client, socket } = await both(t);
  socket.pipe(socket);
  await ticks();
  const unpiped = once(socket, 'unpipe');
  socket.unpipe(socket);
  await unpiped;
  assert.ok(!inC(socket));
  client.write('held ');
  await ticks();
  assert.strictEqual(client.readableLength, 0);
  socket.pipe(socket);
  client.end('back');
  assert.strictEqual(String(await bytesOf(client)), 'held back');
});

test('what is not plain stays in JavaScript', { skip: builtin }, async (t) => {
  const cases = {
    listener: (socket) => socket.on('data', () => {}),
    encoding: (socket) => socket.setEncoding('utf8'),
    twice: (socket) => socket.pipe(new PassThrough()).resume(),
    corked: (socket) => socket.cork(),
    write: (socket) => { socket.write = Object.getPrototypeOf(socket).write.bind(socket); },
  };
  for (const [name, prepare] of Object.entries(cases)) {
    const { client, socket } = await both(t);
    prepare(socket);
    socket.pipe(socket);
    await ticks();
    assert.ok(!inC(socket), name);
    client.end('same');
    await ticks();
    if (name === 'corked') socket.uncork();
    assert.strictEqual(String(await bytesOf(client)), 'same', name);
  }
});

test('the far end goes: the near one is unpiped and paused', async (t) => {
  const one = await both(t);
  const two = await both(t);
  one.socket.pipe(two.socket);
  await ticks();
  const unpiped = once(two.socket, 'unpipe');
  two.socket.destroy();
  await unpiped;
  assert.ok(!one.socket.destroyed);
  one.client.write('nobody hears');
  await ticks();
  one.socket.destroy();
});

test('bytes that pass in C keep a time-out away', { skip: builtin }, async (t) => {
  const { client, socket } = await both(t);
  let timeouts = 0;
  socket.on('timeout', () => timeouts++);
  socket.pipe(socket);
  await ticks();
  for (let i = 0; i < 3; i++) {
    client.write('x');
    await once(client, 'data');
    socket._onTimeout();
  }
  assert.strictEqual(timeouts, 0);
  socket._onTimeout();
  assert.strictEqual(timeouts, 1);
});
