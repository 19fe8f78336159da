'use strict';
// Whatever JavaScript hands to the binding: it is taken, or refused by an exception.

const assert = require('node:assert');
const crypto = require('node:crypto');
const { test } = require('node:test');
const { keys } = require('./support/keys');
const { binding, once, serve, connect, collect, stop } = require('./support/native');

const { ca, server: identity, lockedKey, wrongName } = keys();
const forServer = new binding.Context({ identities: [identity] });
const forClient = new binding.Context({ ca: [ca] });

/** A client and its peer on the server, both secure. */
async function couple(t) {
  let meet;
  const met = new Promise((resolve) => { meet = resolve; });
  const server = serve(forServer, { onconnection: meet });
  t.after(() => stop(server));
  const client = await connect(server.port, forClient);
  const [[status], peer] = await Promise.all([once(client, 'onsecure'), met]);
  assert.strictEqual(status, 0);
  return { client, peer };
}

const NO_BUFFERS = [undefined, null, 1, 'text', {}, [], new ArrayBuffer(8), Symbol('x'), 10n,
  { length: 3, buffer: new ArrayBuffer(8) }, () => {}];

test('what is no Buffer', async (t) => {
  const { client } = await couple(t);
  for (const value of NO_BUFFERS) {
    assert.throws(() => client.write(value), TypeError);
    assert.throws(() => client.writev([Buffer.from('x'), value]), TypeError);
    if (!Array.isArray(value)) assert.throws(() => client.writev(value), TypeError);
    assert.throws(() => client.transportReceived(value), TypeError);
    if (typeof value !== 'string') assert.throws(() => client.useSession(value), TypeError);
  }
  assert.strictEqual(client.writev([]), 1);
});

test('all kinds of views', async (t) => {
  const { client, peer } = await couple(t);
  const text = Buffer.from('0123456789abcdef');
  const bytes = text.buffer.slice(text.byteOffset, text.byteOffset + text.length);
  const shared = new Uint8Array(new SharedArrayBuffer(16));
  shared.set(text);
  const views = [new Uint8Array(bytes), new DataView(bytes), new Float64Array(bytes), shared,
    new Uint8Array(bytes, 4, 8), Buffer.alloc(0), new Uint8Array(0)];
  const received = collect(peer);
  for (const view of views) assert.strictEqual(client.write(view), 1);
  assert.strictEqual(client.writev(views), 1);
  client.end();
  const once16 = `${text}${text}${text}${text}456789ab`;
  assert.strictEqual((await received).toString(), once16 + once16);
});

test('many small pieces in one call, and large ones', async (t) => {
  const { client, peer } = await couple(t);
  const pieces = [...Array(2000).keys()].map((i) => crypto.randomBytes(i % 7 ? i % 700 : 30000));
  const received = collect(peer);
  const written = once(client, 'onwrite');
  if (client.writev(pieces) === 0) assert.deepStrictEqual(await written, [0]);
  client.end();
  assert.ok((await received).equals(Buffer.concat(pieces)));
});

function detach(buffer) {
  structuredClone(buffer.buffer, { transfer: [buffer.buffer] });
}

test('memory that is detached or changed while it is written', async (t) => {
  const resize = (buffer) => buffer.buffer.resize(1000);
  for (const change of ArrayBuffer.prototype.resize ? [detach, resize] : [detach]) {
    const { client, peer } = await couple(t);
    const buffer = new Uint8Array(new ArrayBuffer(32 << 20, { maxByteLength: 32 << 20 }));
    assert.strictEqual(client.write(buffer), 0);
    assert.ok(client.writeQueueSize > 1 << 20);
    assert.ok(client.write(Buffer.from('x')) < 0); // one at a time
    change(buffer);
    const written = once(client, 'onwrite');
    peer.readStart();
    assert.ok((await written)[0] < 0);
  }
});

test('an array that is changed while it is written', async (t) => {
  const { client, peer } = await couple(t);
  const array = [Buffer.alloc(16 << 20), Buffer.alloc(16 << 20)];
  assert.strictEqual(client.writev(array), 0);
  array[1] = 'something else';
  const written = once(client, 'onwrite');
  peer.readStart();
  assert.ok((await written)[0] < 0);
});

test('a pending write when the stream is destroyed', async (t) => {
  const { client } = await couple(t);
  assert.strictEqual(client.write(Buffer.alloc(32 << 20)), 0);
  const events = [];
  client.onwrite = (status) => events.push(['onwrite', status < 0]);
  const gone = once(client, 'onclose');
  client.destroy();
  client.destroy();
  await gone;
  assert.deepStrictEqual(events, [['onwrite', true]]);
});

test('calls on a stream that is gone', async (t) => {
  const { client } = await couple(t);
  const gone = once(client, 'onclose');
  client.destroy();
  await gone;
  const names = Object.getOwnPropertyNames(binding.Stream.prototype);
  for (const name of names)
    if (name !== 'constructor') {
      const { value, get } = Object.getOwnPropertyDescriptor(binding.Stream.prototype, name);
      if (get) get.call(client);
      else try { value.call(client, Buffer.from('x'), {}); } catch { /* not of this kind */ }
    }
  assert.ok(client.write(Buffer.from('x')) < 0);
  assert.ok(client.end() < 0);
  assert.strictEqual(client.hasRef(), false);
  assert.strictEqual(client.fd, -1);
  assert.strictEqual(client.error(), null);
  assert.throws(() => client.exportKeyingMaterial(10, 'x'));
});

test('calls on something else', async (t) => {
  const { client } = await couple(t);
  const { write } = client;
  const context = new binding.Context({});
  for (const other of [undefined, {}, context, Object.create(client),
    Object.setPrototypeOf({}, binding.Stream.prototype)])
    assert.throws(() => write.call(other, Buffer.from('x')), TypeError);
  Object.setPrototypeOf(context, binding.Stream.prototype);
  assert.throws(() => write.call(context, Buffer.from('x')), TypeError);
  for (const notOne of [undefined, null, {}, client, new binding.Trust([])]) {
    assert.throws(() => new binding.Server(notOne, {}), TypeError);
    assert.throws(() => binding.over(binding.CLIENT, notOne, {}), TypeError);
    assert.throws(() => client.useContext(notOne), TypeError);
  }
  assert.throws(() => client.pipe(context, true), TypeError);
  assert.throws(() => new binding.Stream(), TypeError);
  assert.throws(() => binding.Stream(), TypeError);
});

test('descriptors that are none', () => {
  for (const fd of [-1, 99999, undefined, 'x', NaN, 1e20])
    assert.throws(() => binding.adopt(fd, binding.CLIENT, forClient, { checkName: false }),
      (error) => error.info.status < 0);
});

test('options that make no context', () => {
  const bad = [
    [{ ca: ['junk'] }, 'SP_ECA'],
    [{ ca: 'text' }, TypeError],
    [{ ca: [1] }, TypeError],
    [{ identities: [{ key: identity.key }] }, 'SP_ECERTIFICATE'],
    [{ identities: [{ cert: identity.cert }] }, 'SP_EKEY'],
    [{ identities: [{ key: 'junk', cert: identity.cert }] }, 'SP_EKEY'],
    [{ identities: [{ key: identity.key, cert: wrongName.cert }] }, 'SP_EMISMATCH'],
    [{ identities: [{ key: lockedKey, cert: identity.cert }] }, 'SP_EPASSPHRASE'],
    [{ identities: [{ key: lockedKey, cert: identity.cert, passphrase: 'x' }] }, 'SP_EPASSPHRASE'],
    [{ ciphers: 'none of these' }, 'SP_ECIPHERS'],
    [{ ticketKeys: Buffer.alloc(47) }, 'SP_EOPTION'],
    [{ minVersion: 0x0304, maxVersion: 0x0303 }, 'SP_EVERSION'],
    [{ get ca() { throw new RangeError('from a getter'); } }, RangeError],
  ];
  for (const [options, expected] of bad) {
    const check = typeof expected === 'string' ? (error) => error.info.name === expected : expected;
    assert.throws(() => new binding.Context(options), check, inspect(options));
  }
});

function inspect(value) {
  return require('node:util').inspect(value).slice(0, 100);
}

test('contexts say what they hold', () => {
  const context = new binding.Context({ identities: [{ key: lockedKey, cert: identity.cert,
    passphrase: 'secret' }], trust: new binding.Trust([ca]) });
  const leaf = new crypto.X509Certificate(context.certificate());
  const issuer = new crypto.X509Certificate(context.issuer());
  assert.ok(leaf.checkIssued(issuer));
  assert.strictEqual(new binding.Context({ ca: [] }).certificate(), null);
  const ticketKeys = crypto.randomBytes(48);
  context.setTicketKeys(ticketKeys);
  assert.ok(context.ticketKeys().equals(ticketKeys));
  assert.throws(() => context.setTicketKeys(Buffer.alloc(1)));
  assert.throws(() => context.setTicketKeys('x'), TypeError);
});

test('a slab that is detached while more is read', async (t) => {
  const { client, peer } = await couple(t);
  const received = [];
  client.ondata = (slab, offset, size) => {
    received.push(slab.toString('latin1', offset, offset + size));
    structuredClone(slab.buffer, { transfer: [slab.buffer] });
  };
  client.onsession = () => received.push('session');
  client.readStart();
  for (let i = 0; i < 20; i++) {
    peer.write(Buffer.from(`${i} `));
    await new Promise(setImmediate);
  }
  while (!received.includes('19 ')) await new Promise(setImmediate);
  const text = received.filter((part) => part !== 'session').join('');
  assert.strictEqual(text, [...Array(20).keys()].map((i) => `${i} `).join(''));
  assert.ok(received.includes('session'));
});
