'use strict';
// Peers that do not speak TLS, or stop in the middle of its first bytes: FAULTS.md W01 to W05.

const assert = require('node:assert');
const { once } = require('node:events');
const net = require('node:net');
const { test } = require('node:test');
const { HOST, TRANSPORTS, serve, connect, watch, assertServes } = require('./support/transports');

const RESET = 'ECONNRESET';
const WRONG = 'ERR_SSL_WRONG_VERSION_NUMBER';
const HTTP = 'ERR_SSL_HTTP_REQUEST';
const TOO_LONG = 'ERR_SSL_PACKET_LENGTH_TOO_LONG';
const HEADER = [22, 3, 1, 0];

// What is sent; how it goes on; what a server and a client say of it; the alert that answers it.
const JUNK = [
  { name: 'W01 plain HTTP', bytes: 'GET / HTTP/1.0\r\n\r\n', server: HTTP },
  { name: 'W01 an answer in plain HTTP', bytes: 'HTTP/1.0 400 Bad\r\n\r\n', client: WRONG },
  { name: 'W02 64 times 0xff', bytes: Buffer.alloc(64, 0xff), server: WRONG, client: WRONG },
  { name: 'W03 nothing and FIN', bytes: '', then: 'end', server: RESET, client: RESET },
  { name: 'W05 a record of 0xffff bytes', bytes: Buffer.from([22, 3, 1, 0xff, 0xff, 1, 2, 3]),
    server: TOO_LONG, client: TOO_LONG, alert: 22 },
];
for (let size = 1; size <= 4; size++) {
  for (const [then, word] of [['end', 'FIN'], ['resetAndDestroy', 'RST']]) {
    JUNK.push({ name: `W04 ${size} bytes of a header and ${word}`, then, server: RESET,
                client: RESET, bytes: Buffer.from(HEADER.slice(0, size)) });
  }
}

/** Sends it, and goes on as told; resolves with all that came back once it is closed. */
function send(raw, { bytes, then }) {
  const back = [];
  raw.on('data', (data) => back.push(data));
  raw.on('error', () => {});
  const closed = once(raw, 'close').then(() => Buffer.concat(back));
  raw.write(bytes, () => then && raw[then]());
  return closed;
}

function assertAlert(back, number) {
  if (number === undefined) return;
  const alert = back.subarray(-7);
  assert.deepStrictEqual([alert[0], alert[5], alert[6]], [21, 2, number]);
}

async function throwAtServer(t, transport, junk) {
  const server = await serve(t, transport, {}, () => {});
  const errors = [];
  const failed = new Promise((resolve) => {
    server.on('tlsClientError', (error) => {
      errors.push(error);
      setImmediate(resolve);
    });
  });
  const back = await send(net.connect(server.port, HOST), junk);
  await failed;
  await assertServes(server);
  assert.deepStrictEqual(errors.map((error) => error.code), [junk.server]);
  assertAlert(back, junk.alert);
}

async function throwAtClient(t, transport, junk) {
  const server = net.createServer({ allowHalfOpen: true });
  server.listen(0, HOST);
  await once(server, 'listening');
  t.after(() => server.close());
  const client = connect(transport, server.address().port);
  const { seen, closed } = watch(client, ['secureConnect', 'error', 'close']);
  const [raw] = await once(server, 'connection');
  raw.once('data', () => raw.pause());
  await once(raw, 'pause');
  const back = send(raw, junk);
  raw.resume();
  await closed;
  raw.end();
  assertAlert(await back, junk.alert);
  assert.deepStrictEqual(seen, [`error ${junk.client}`, 'close']);
}

for (const transport of TRANSPORTS) {
  for (const junk of JUNK) {
    if (junk.server)
      test(`${junk.name} at a server, ${transport}`, (t) => throwAtServer(t, transport, junk));
    if (junk.client)
      test(`${junk.name} at a client, ${transport}`, (t) => throwAtClient(t, transport, junk));
  }
}
