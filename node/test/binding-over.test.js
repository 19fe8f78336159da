'use strict';
// TLS over anything that carries bytes: two native streams over each other in memory.

const assert = require('node:assert');
const crypto = require('node:crypto');
const { test } = require('node:test');
const { keys } = require('./support/keys');
const { binding, once, collect } = require('./support/native');

const { ca, server: identity } = keys();
const forServer = new binding.Context({ identities: [identity] });
const forClient = new binding.Context({ ca: [ca] });

// What one writes the other receives, at once and from within the call, as a Duplex may do it; a
// line that is `slow` takes one piece at a time.
function tie(from, to, slow) {
  from.ontransportwrite = (bytes) => {
    if (!slow) {
      to.transportReceived(bytes);
      return true;
    }
    setImmediate(() => {
      to.transportReceived(bytes);
      from.transportRoom();
    });
    return false;
  };
  from.ontransportend = () => to.transportEnded();
  from.ontransportclose = () => {
    from.transportClosed();
    to.transportEnded();
  };
}

function couple({ slow = false, client = {}, server = {} } = {}) {
  const one = binding.over(binding.CLIENT, forClient, { serverName: 'localhost', ...client });
  const other = binding.over(binding.SERVER, forServer, server);
  tie(one, other, slow);
  tie(other, one, slow);
  return { one, other };
}

async function closed(...streams) {
  const all = streams.map((stream) => once(stream, 'onclose'));
  for (const stream of streams) stream.destroy();
  await Promise.all(all);
}

for (const slow of [false, true]) {
  test(`both ways${slow ? ', slowly' : ''}`, async () => {
    const { one, other } = couple({ slow });
    const [[a], [b]] = await Promise.all([once(one, 'onsecure'), once(other, 'onsecure')]);
    assert.deepStrictEqual([a, b], [0, 0]);
    assert.strictEqual(one.isAuthorized(), true);
    const sent = crypto.randomBytes(1 << 20);
    const received = [collect(one), collect(other)];
    for (const stream of [one, other]) {
      const written = once(stream, 'onwrite');
      const ended = once(stream, 'onended');
      if (stream.write(sent) === 0) assert.deepStrictEqual(await written, [0]);
      stream.end();
      await ended;
    }
    for (const bytes of await Promise.all(received)) assert.ok(bytes.equals(sent));
  });
}

test('nothing is called before a call returns', async () => {
  const { one, other } = couple();
  let inside = false;
  for (const stream of [one, other])
    for (const name of ['ontransportwrite', 'ontransportread', 'ontransportclose'])
      stream[name] = ((before) => (...args) => {
        assert.strictEqual(inside, false, name);
        return before?.(...args);
      })(stream[name]);
  const within = (work) => {
    inside = true;
    work();
    inside = false;
  };
  await Promise.all([once(one, 'onsecure'), once(other, 'onsecure')]);
  const received = once(other, 'ondata');
  within(() => other.readStart());
  within(() => one.write(Buffer.alloc(100000)));
  await received;
  const gone = [once(one, 'onclose'), once(other, 'onclose')];
  within(() => one.destroy());
  within(() => other.destroy());
  await Promise.all(gone);
});

test('a write that is done is sent, though its stream is destroyed', async () => {
  const { one, other } = couple();
  await Promise.all([once(one, 'onsecure'), once(other, 'onsecure')]);
  const received = once(other, 'ondata');
  other.readStart();
  setImmediate(() => {
    assert.strictEqual(one.write(Buffer.from('last words')), 1);
    one.destroy();
  });
  const [slab, offset, size] = await received;
  assert.strictEqual(slab.toString('latin1', offset, offset + size), 'last words');
  await closed(other);
});

test('what was received before TLS began', async () => {
  const one = binding.over(binding.CLIENT, forClient, { serverName: 'localhost' });
  one.ontransportclose = () => one.transportClosed();
  const [hello] = await once(one, 'ontransportwrite');
  const other = binding.over(binding.SERVER, forServer, { already: hello.subarray(0, 10) });
  tie(other, one);
  tie(one, other);
  other.transportReceived(hello.subarray(10));
  assert.deepStrictEqual(await once(other, 'onsecure'), [0]);
  await closed(one, other);
});

test('cleartext that was injected before TLS', async () => {
  const one = binding.over(binding.CLIENT, forClient,
    { serverName: 'localhost', already: Buffer.from('250 hello\r\n') });
  one.ontransportclose = () => one.transportClosed();
  const [status] = await once(one, 'onsecure');
  assert.strictEqual(one.error().name, 'SP_EINJECTED');
  assert.strictEqual(one.error().status, status);
});

test('a transport that ends without a word', async () => {
  const { one, other } = couple();
  await Promise.all([once(one, 'onsecure'), once(other, 'onsecure')]);
  const ended = once(one, 'onend');
  one.readStart();
  one.transportEnded();
  const [status] = await ended;
  assert.ok(status < 0);
  await closed(one, other);
});

test('a transport that fails', async () => {
  const { one, other } = couple();
  await Promise.all([once(one, 'onsecure'), once(other, 'onsecure')]);
  const failed = once(one, 'onerror');
  const gone = once(one, 'onclose');
  one.transportFailed(-104);
  assert.deepStrictEqual(await failed, [-104]);
  await gone;
  assert.strictEqual(one.error().name, 'ECONNRESET');
  await closed(other);
});
