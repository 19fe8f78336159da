'use strict';
// ALPN: lists on both sides, and a server that asks its program.

const assert = require('node:assert');
const { once } = require('node:events');
const { test } = require('node:test');
const { tls } = require('./support/module');
const { TRANSPORTS, identity, serve, connect } = require('./support/transports');

/** [what the client has, what the server has], or the code of the client's error. */
async function agreed(t, transport, options, ALPNProtocols) {
  const server = await serve(t, transport, options);
  const accepted = once(server, 'secureConnection');
  accepted.catch(() => {});
  const client = connect(transport, server.port, { ALPNProtocols });
  t.after(() => client.destroy());
  try {
    await once(client, 'secureConnect');
  } catch (error) {
    return error.code;
  }
  const [socket] = await accepted;
  return [client.alpnProtocol, socket.alpnProtocol];
}

const REFUSED = 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL';

for (const transport of TRANSPORTS) {
  test(`the server’s first that the client has, ${transport}`, async (t) => {
    const ALPNProtocols = ['a', 'b', 'c'];
    const of = (names) => agreed(t, transport, { ALPNProtocols }, names);
    assert.deepStrictEqual(await of(['a', 'b']), ['a', 'a']);
    assert.deepStrictEqual(await of(['c', 'b']), ['b', 'b']);
    assert.deepStrictEqual(await of(Buffer.from('\x01x\x01c')), ['c', 'c']);
    assert.deepStrictEqual(await of(undefined), [false, false]);
    assert.strictEqual(await of(['x', 'y']), REFUSED);
  });

  test(`a server without a list has none, ${transport}`, async (t) => {
    assert.deepStrictEqual(await agreed(t, transport, {}, ['a']), [false, false]);
  });

  test(`ALPNCallback chooses, refuses, fails, ${transport}`, async (t) => {
    const asked = [];
    const options = {
      ALPNCallback(question) {
        asked.push(question);
        const [first] = question.protocols;
        if (first === 'throw') throw new Error('no');
        return { last: 'z', strange: 'never offered' }[first];
      },
    };
    const of = (names) => agreed(t, transport, options, names);
    assert.deepStrictEqual(await of(['last', 'z']), ['z', 'z']);
    assert.deepStrictEqual(asked, [{ servername: 'localhost', protocols: ['last', 'z'] }]);
    assert.strictEqual(await of(['none']), REFUSED);
    for (const name of ['strange', 'throw'])
      assert.strictEqual(typeof await of([name]), 'string');
  });
}

test('ALPNCallback and ALPNProtocols exclude each other', () => {
  assert.throws(() => tls.createServer({ ...identity(), ALPNProtocols: ['a'], ALPNCallback() {} }),
    { code: 'ERR_TLS_ALPN_CALLBACK_WITH_PROTOCOLS' });
});

test('convertALPNProtocols', () => {
  const out = {};
  tls.convertALPNProtocols(['ab', 'c'], out);
  assert.deepStrictEqual(out.ALPNProtocols, Buffer.from('\x02ab\x01c'));
  const own = new Uint8Array([1, 120]);
  tls.convertALPNProtocols(own, out);
  own[1] = 0;
  assert.deepStrictEqual(out.ALPNProtocols, Buffer.from('\x01x'));
  assert.throws(() => tls.convertALPNProtocols(['x'.repeat(256)], out),
    { code: 'ERR_OUT_OF_RANGE' });
});
