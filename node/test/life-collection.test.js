'use strict';
// Garbage collection in every callback, and streams that nobody holds: FAULTS.md A11. And what Node
// keeps about who asked for what: AsyncLocalStorage.

const assert = require('node:assert');
const { AsyncLocalStorage } = require('node:async_hooks');
const { once } = require('node:events');
const { test } = require('node:test');
const { runProgram } = require('./support/child');
const { TRANSPORTS, serve, connect } = require('./support/transports');

const WIRE = `
  const net = require('net');
  const { Wire } = require(${JSON.stringify(require.resolve('./support/wire'))});
  const over = (port) => new Wire(net.connect(port, '127.0.0.1'));
`;

const OVER = {
  native: 'const socketTo = () => undefined;',
  duplex: `${WIRE} const socketTo = (port) => over(port);`,
};

for (const transport of TRANSPORTS) {
  test(`A11 collection in every event, ${transport}`, async () => {
    const { status, stdout, stderr } = await runProgram(`
      ${OVER[transport]}
      const { emit } = require('events').prototype;
      kit.tls.TLSSocket.prototype.emit = kit.tls.Server.prototype.emit = function (...all) {
        gc();
        return emit.apply(this, all);
      };
      const SNICallback = (name, answer) => { gc(); setImmediate(() => { gc(); answer(null); }); };
      const ALPNCallback = () => { gc(); return 'x'; };
      const server = kit.listen({ SNICallback, ALPNCallback }, (s) => s.pipe(s), (port) => {
        let rounds = 0;
        const again = () => {
          const client = kit.connect(port, { ALPNProtocols: ['x'], socket: socketTo(port) });
          client.write(Buffer.alloc(100000), gc);
          client.on('session', gc).on('keylog', gc);
          let heard = 0;
          client.on('data', (data) => (heard += data.length) === 100000 && client.end());
          client.on('close', () => (++rounds < 5 ? again() : server.close()));
        };
        again();
      });
      process.on('exit', () => console.log('done'));
    `, '--expose-gc');
    assert.deepStrictEqual({ status, stdout, stderr }, { status: 0, stdout: 'done\n', stderr: '' });
  });

  test(`A11 streams that nobody holds do their work, ${transport}`, async () => {
    const { status, stdout, stderr } = await runProgram(`
      ${OVER[transport]}
      let heard = 0;
      let ends = 0;
      const server = kit.listen({}, (s) => {
        s.on('data', (data) => { heard += data.length; });
        s.on('end', () => {
          if (++ends < 20) return;
          console.log(heard === 20 << 20);
          server.close();
        });
      }, (port) => {
        for (let i = 0; i < 20; i++)
          kit.connect(port, { socket: socketTo(port) }).end(Buffer.alloc(1 << 20));
        const timer = setInterval(gc, 1);
        server.on('close', () => clearInterval(timer));
      });
    `, '--expose-gc');
    assert.deepStrictEqual({ status, stdout, stderr }, { status: 0, stdout: 'true\n', stderr: '' });
  });

  test(`A11 sockets that are gone are collected, ${transport}`, async () => {
    const { status, stdout, stderr } = await runProgram(`
      ${OVER[transport]}
      let made = 0;
      let collected = 0;
      const registry = new FinalizationRegistry(() => { collected++; });
      const follow = (socket) => {
        made++;
        registry.register(socket);
      };
      const server = kit.listen({}, (s) => {
        follow(s);
        s.resume();
      }, (port) => {
        let rounds = 0;
        const again = () => {
          const client = kit.connect(port, { socket: socketTo(port) });
          follow(client);
          client.on('secureConnect', () => client.end('x'));
          client.resume().on('close', () => (++rounds < 50 ? again() : look(20)));
        };
        again();
      });
      const look = (times) => {
        gc();
        if (times && collected < made - 4) return void setImmediate(look, times - 1);
        console.log(made, collected >= made - 4 || collected);
        server.close();
      };
    `, '--expose-gc');
    assert.deepStrictEqual({ status, stdout, stderr },
      { status: 0, stdout: '100 true\n', stderr: '' });
  });

  test(`AsyncLocalStorage reaches the listeners of a socket, ${transport}`, async (t) => {
    const storage = new AsyncLocalStorage();
    const seen = {};
    const note = (where) => () => { seen[where] = storage.getStore(); };
    const server = await serve(t, transport, {}, (socket) => {
      storage.run('of the server', () => {
        socket.on('data', (data) => socket.end(data));
        socket.write('hello', note('server\'s write'));
      });
    });
    await storage.run('of the client', async () => {
      const client = connect(transport, server.port);
      for (const event of ['secureConnect', 'data', 'end', 'close']) client.on(event, note(event));
      client.write('hello', note('write'));
      await once(client, 'close');
    });
    const client = 'of the client';
    assert.deepStrictEqual(seen, {
      secureConnect: client, data: client, end: client, close: client, write: client,
      'server\'s write': 'of the server',
    });
  });
}

test('an uncaught exception leaves the server alive', async () => {
  const { status, stdout, stderr } = await runProgram(`
    let failures = 0;
    process.on('uncaughtException', () => { failures++; });
    const server = kit.listen({}, (s) => {
      s.on('data', () => { throw new Error('from a listener'); });
      s.on('close', () => { throw new Error('from a listener'); });
    }, (port) => {
      let rounds = 0;
      const again = () => {
        const client = kit.connect(port);
        client.on('secureConnect', () => client.end('x'));
        client.resume().on('close', () => {
          if (++rounds < 20) return again();
          server.close(() => console.log(failures));
        });
      };
      again();
    });
  `);
  assert.deepStrictEqual({ status, stdout, stderr }, { status: 0, stdout: '40\n', stderr: '' });
});
