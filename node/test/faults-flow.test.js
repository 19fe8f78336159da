'use strict';
// More connections than wanted, and peers that do not read: FAULTS.md R05 to R08.

const assert = require('node:assert');
const { once } = require('node:events');
const net = require('node:net');
const { test } = require('node:test');
const { promisify } = require('node:util');
const { MEGABYTE, howMany, residentMemory, assertGrewLittle } = require('./support/memory');
const { eachParty, meet } = require('./support/parties');
const { HOST, TRANSPORTS, serve, connected, assertServes } = require('./support/transports');

const CHUNK = Buffer.alloc(65536, 'flow');

// -- R05 ------------------------------------------------------------------------------------------

function countOf(server) {
  return promisify((callback) => server.getConnections(callback))();
}

/** A raw connection; resolves once it is closed by the other side. */
function storm(port) {
  const raw = net.connect(port, HOST);
  raw.on('error', () => {});
  return once(raw.resume(), 'close');
}

test('R05 maxConnections in a storm of 500: drop for each, and exact counts', async (t) => {
  const server = await serve(t, 'native', {}, (socket) => socket.pipe(socket));
  server.maxConnections = 5;
  const dropped = [];
  server.on('drop', (data) => dropped.push(data));
  const clients = [];
  for (let i = 0; i < 5; i++) clients.push(await connected('native', server.port));
  await Promise.all(Array.from({ length: 500 }, () => storm(server.port)));
  assert.strictEqual(dropped.length, 500);
  assert.strictEqual(dropped[0].localPort, server.port);
  assert.strictEqual(await countOf(server), 5);
  for (const client of clients) {
    client.end('still here');
    assert.strictEqual((await once(client, 'data')).toString(), 'still here');
    await once(client, 'close');
  }
  assert.strictEqual(await countOf(server), 0);
  await assertServes(server);
});

test('R05 without maxConnections a storm of 500 leaves a count of 0', async (t) => {
  const server = await serve(t, 'native', {});
  let failed = 0;
  const all = new Promise((resolve) => {
    server.on('tlsClientError', () => ++failed === 500 && resolve());
  });
  for (let i = 0; i < 500; i++)
    net.connect(server.port, HOST).end('GET / HTTP/1.0\r\n\r\n').resume();
  await all;
  await assertServes(server);
  while (await countOf(server) > 0) await new Promise(setImmediate);
  server.maxConnections = 1;
  await assertServes(server);
});

// -- R06, R07 -------------------------------------------------------------------------------------

eachParty((role, transport) => {
  test(`R06 the peer never reads: write() says so, ${role}, ${transport}`, async (t) => {
    const { ours, peer } = await meet(t, role, transport);
    peer.raw.pause();
    peer.wire.pause();
    const before = residentMemory();
    let written = 0;
    while (written < 1000 && ours.write(CHUNK)) {
      written++;
      await new Promise(setImmediate);
    }
    assert.ok(written < 400, `${written} chunks went`); // the kernel's buffers
    assert.ok(ours.writableLength <= 2 * CHUNK.length);
    assertGrewLittle(before, 50);
    peer.wire.resume();
    peer.raw.resume();
    peer.socket.resume();
    await once(ours, 'drain');
    ours.end();
    await once(peer.socket, 'end');
    assert.strictEqual(peer.socket.bytesRead, ours.bytesWritten);
  });

  test(`R07 we never read: the peer is stopped, ${role}, ${transport}`, async (t) => {
    const { ours, peer } = await meet(t, role, transport);
    ours.pause();
    const before = residentMemory();
    let sent = 0;
    const total = 1000;
    const flood = () => peer.socket.write(CHUNK, () => {
      if (++sent < total) flood();
      else peer.socket.end();
    });
    flood();
    await standstill(() => sent);
    assert.ok(sent < 400, `${sent} chunks came`);
    assertGrewLittle(before, 100);
    let heard = 0;
    ours.on('data', (data) => { heard += data.length; });
    ours.resume();
    await once(ours, 'end');
    assert.strictEqual(heard, total * CHUNK.length);
  });
});

/** Goes on until a number did not change for many turns of the loop. */
async function standstill(number) {
  for (let quiet = 0, last = number(); quiet < 200; quiet++, last = number()) {
    await new Promise(setImmediate);
    if (number() !== last) quiet = 0;
  }
}

// -- R08 ------------------------------------------------------------------------------------------

/** Writes `megabytes` as fast as they are taken and reads as much; memory stays. */
async function goRound(socket, megabytes) {
  const total = megabytes * MEGABYTE;
  const warm = total / 4;
  let sent = 0;
  let heard = 0;
  let before;
  const push = () => {
    while (sent < total) {
      sent += CHUNK.length;
      if (!socket.write(CHUNK)) return;
    }
  };
  socket.on('drain', push);
  socket.on('data', (data) => {
    heard += data.length;
    if (!before && heard >= warm) before = residentMemory();
    if (heard === total) socket.end();
  });
  push();
  await once(socket, 'end');
  assert.strictEqual(heard, total);
  assertGrewLittle(before, 32);
}

for (const transport of TRANSPORTS) {
  const megabytes = transport === 'native' ? howMany({ sanitized: 60, usual: 200 })
    : howMany({ sanitized: 20, usual: 60 });

  test(`R08 ${megabytes} MB through s.pipe(s), ${transport}`, async (t) => {
    const server = await serve(t, transport, {}, (socket) => socket.pipe(socket));
    await goRound(await connected(transport, server.port), megabytes);
  });

  test(`R08 ${megabytes} MB through a.pipe(b).pipe(a), ${transport}`, async (t) => {
    const echo = await serve(t, transport, {}, (socket) => socket.pipe(socket));
    const server = await serve(t, transport, {}, async (a) => {
      const b = await connected(transport, echo.port);
      a.pipe(b).pipe(a);
    });
    await goRound(await connected(transport, server.port), megabytes);
  });
}
