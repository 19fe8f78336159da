'use strict';
// Ends that the peer makes: FAULTS.md C01 to C04.

const assert = require('node:assert');
const { once } = require('node:events');
const { test } = require('node:test');
const { FORGEABLE, CLOSE_NOTIFY, writeKeys, forge } = require('./support/forge');
const { eachParty, meet } = require('./support/parties');
const { watch, bytesOf, assertServes } = require('./support/transports');

const MEGABYTE = 1024 * 1024;
const EVENTS = ['end', 'error', 'close'];
const PART_OF_A_RECORD = Buffer.from([23, 3, 3, 0x40, 0, 1, 2, 3]);

const CUTS = {
  'after a record': (raw) => raw.end(),
  'inside a record': (raw) => raw.end(PART_OF_A_RECORD),
};

async function assertGoesOn({ server }) {
  if (server) await assertServes(server);
}

/** One message arrives, then the peer's FIN comes without a close_notify. */
async function truncate(party, cut) {
  const { ours, peer } = party;
  const watched = watch(ours, EVENTS);
  ours.resume();
  peer.socket.write('hello');
  await once(ours, 'data');
  cut(peer.raw);
  peer.wire.on('end', () => peer.raw.destroy());
  await watched.closed;
  await assertGoesOn(party);
  return watched.seen;
}

for (const [where, cut] of Object.entries(CUTS)) {
  eachParty((role, transport) => {
    test(`C01 FIN ${where}: a truncated end, ${role}, ${transport}`, async (t) => {
      const party = await meet(t, role, transport);
      assert.deepStrictEqual(await truncate(party, cut), ['end', 'close']);
      assert.strictEqual(party.ours.truncated, true);
    });

    test(`C01 FIN ${where}, strictEOF: an error, ${role}, ${transport}`, async (t) => {
      const party = await meet(t, role, transport, { strictEOF: true });
      assert.deepStrictEqual(await truncate(party, cut), ['error ERR_TLS_TRUNCATED', 'close']);
      assert.strictEqual(party.ours.truncated, true);
    });
  });
}

eachParty((role, transport) => {
  test(`C01 a whole end is not truncated, ${role}, ${transport}`, async (t) => {
    const party = await meet(t, role, transport, { strictEOF: true });
    const { seen, closed } = watch(party.ours, EVENTS);
    party.ours.resume();
    party.peer.socket.resume();
    party.peer.socket.end('all of it');
    await closed;
    assert.deepStrictEqual(seen, ['end', 'close']);
    assert.strictEqual(party.ours.truncated, false);
  });
});

/** The types of the records in `bytes`. */
function recordTypes(bytes) {
  const types = [];
  for (let at = 0; at < bytes.length; at += 5 + bytes.readUInt16BE(at + 3)) types.push(bytes[at]);
  return types;
}

eachParty((role, transport) => {
  test(`C02 close_notify after all data, then FIN, ${role}, ${transport}`, async (t) => {
    const options = { ...FORGEABLE, allowHalfOpen: true };
    const { ours, peer } = await meet(t, role, transport, options, FORGEABLE);
    const records = [];
    peer.raw.on('data', (data) => records.push(data));
    const heard = bytesOf(peer.socket);
    const fin = once(peer.raw, 'end');
    for (let i = 0; i < 16; i++) ours.write(Buffer.alloc(MEGABYTE / 16, i));
    ours.end('the end');
    assert.strictEqual((await heard).length, MEGABYTE + 7);
    await fin;
    const types = recordTypes(Buffer.concat(records));
    assert.deepStrictEqual(new Set(types.slice(0, -1)), new Set([23]));
    assert.strictEqual(types.at(-1), 21);
  });

  test(`C02 what the peer says afterwards is still read, ${role}, ${transport}`, async (t) => {
    const { ours, peer } = await meet(t, role, transport, { allowHalfOpen: true },
      { allowHalfOpen: true });
    const heard = bytesOf(ours);
    peer.socket.resume();
    peer.socket.once('end', () => {
      peer.socket.write(Buffer.alloc(MEGABYTE));
      peer.socket.end('afterwards');
    });
    ours.end();
    assert.strictEqual((await heard).length, MEGABYTE + 10);
  });
});

// Good records of the peer's with these contents. Its Finished was number 0.
function forgeAll({ peer, keylog }, role, ...contents) {
  const isServer = role === 'client';
  const hello = isServer ? peer.wire.firstWritten : peer.wire.firstRead;
  const keys = writeKeys(keylog[0], hello, isServer);
  return Buffer.concat(contents.map((content, i) => forge(keys, i + 1, content)));
}

eachParty((role, transport) => {
  test(`C03 (a forged record is a good one, ${role}, ${transport})`, async (t) => {
    const party = await meet(t, role, transport, FORGEABLE, FORGEABLE);
    party.peer.raw.write(forgeAll(party, role, 'believe me'));
    const [data] = await once(party.ours, 'data');
    assert.strictEqual(data.toString(), 'believe me');
  });

  for (const allowHalfOpen of [false, true]) {
    const half = allowHalfOpen ? 'half open' : 'not half open';
    test(`C03 data after close_notify is lost, ${half}, ${role}, ${transport}`, async (t) => {
      const party = await meet(t, role, transport, { ...FORGEABLE, allowHalfOpen }, FORGEABLE);
      const { ours, peer } = party;
      const { seen, closed } = watch(ours, ['close']);
      const heard = [];
      ours.on('data', (data) => heard.push(data.toString()));
      ours.on('end', () => ours.end());
      peer.socket.resume();
      peer.raw.end(forgeAll(party, role, 'in time', CLOSE_NOTIFY, 'too late'));
      await closed;
      assert.deepStrictEqual(heard, ['in time']);
      assert.deepStrictEqual(seen, ['close']);
      await assertGoesOn(party);
    });
  }
});

const MUCH = 10 * MEGABYTE;

/** The peer ends its half, then reads until our end. */
async function readToTheEnd({ socket }) {
  socket.end();
  return (await bytesOf(socket)).length;
}

eachParty((role, transport) => {
  test(`C04 half open: 10 MB after the peer's end, ${role}, ${transport}`, async (t) => {
    const { ours, peer } = await meet(t, role, transport, { allowHalfOpen: true },
      { allowHalfOpen: true });
    const { seen, closed } = watch(ours, EVENTS);
    ours.resume();
    ours.on('end', () => ours.end(Buffer.alloc(MUCH)));
    assert.strictEqual(await readToTheEnd(peer), MUCH);
    peer.raw.end();
    await closed;
    assert.deepStrictEqual(seen, ['end', 'close']);
  });

  test(`C04 not half open: what was written is delivered, ${role}, ${transport}`, async (t) => {
    const { ours, peer } = await meet(t, role, transport, {}, { allowHalfOpen: true });
    const { seen, closed } = watch(ours, EVENTS);
    ours.resume();
    ours.write(Buffer.alloc(MUCH));
    assert.strictEqual(await readToTheEnd(peer), MUCH);
    peer.raw.end();
    await closed;
    assert.deepStrictEqual(seen, ['end', 'close']);
  });
});
