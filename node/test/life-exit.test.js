'use strict';
// How processes end with the module at work, and how often it may be in one: FAULTS.md A10.

const assert = require('node:assert');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const vm = require('node:vm');
const { runProgram } = require('./support/child');
const { keys } = require('./support/keys');
const { builtin, file, tls } = require('./support/module');
const { temporaryFolder } = require('./support/program');
const { HOST, TRANSPORTS, identity, serve, connect, connected } = require('./support/transports');

// `leave` in each of them; the rest of the program is the same.
const PLACES = {
  listening: "server.on('listening', leave)",
  secureConnection: "server.on('secureConnection', leave)",
  secureConnect: "client.on('secureConnect', leave)",
  data: "client.on('data', leave)",
  end: "client.on('end', leave)",
  drain: "client.on('drain', leave)",
  close: "client.on('close', leave)",
  session: "client.on('session', leave)",
  keylog: "client.on('keylog', leave)",
  'keylog of the server': "server.on('keylog', leave)",
  tlsClientError: "server.on('tlsClientError', leave); require('net').connect(port).end('junk')",
  SNICallback: 'hooks.SNICallback = leave',
  ALPNCallback: 'hooks.ALPNCallback = leave',
  checkServerIdentity: 'identity = leave',
  lookup: 'lookup = leave',
  'a callback of write': "client.write('x', leave)",
  'close of the server': "server.close(leave); client.destroy()",
  'a finalizer\'s time': "client.on('data', () => { client = null; gc(); leave(); })",
};

const BUSY = (place) => `
  const leave = () => process.exit(5);
  const hooks = { SNICallback: (name, answer) => answer(null), ALPNCallback: () => 'x' };
  let identity = () => {};
  let lookup = (host, options, answer) => require('dns').lookup('127.0.0.1', options, answer);
  let client;
  const server = kit.listen({
    SNICallback: (...all) => hooks.SNICallback(...all),
    ALPNCallback: (...all) => hooks.ALPNCallback(...all),
  }, (socket) => {
    socket.resume();
    socket.on('end', () => socket.end('bye'));
    socket.write('hello');
  }, (port) => {
    client = kit.connect(port, {
      ALPNProtocols: ['x'], checkServerIdentity: (...all) => identity(...all),
      host: 'localhost', lookup: (...all) => lookup(...all),
    });
    client.on('secureConnect', () => client.write(Buffer.alloc(8 << 20)));
    client.on('drain', () => client.end());
    client.resume();
    if (!early) { ${place}; }
  });
  const early = ${/'listening'|lookup/.test(place)};
  if (early) { ${place}; }
`;

for (const [name, place] of Object.entries(PLACES)) {
  test(`A10 process.exit in ${name}`, async () => {
    const { status, signal, stdout, stderr } = await runProgram(BUSY(place), '--expose-gc');
    assert.deepStrictEqual({ status, signal, stdout, stderr },
      { status: 5, signal: null, stdout: '', stderr: '' });
  });
}

test('A10 a program ends by itself once its server and its sockets are closed', async () => {
  const { status, stderr } = await runProgram(`
    const server = kit.listen({}, (socket) => socket.end('bye'), (port) => {
      kit.connect(port).resume().on('close', () => server.close());
    });
  `);
  assert.deepStrictEqual({ status, stderr }, { status: 0, stderr: '' });
});

test('A10 what is unref\'d does not keep a program', async () => {
  const { status, stdout, stderr } = await runProgram(`
    const server = kit.listen({}, (socket) => socket.unref(), (port) => {
      const client = kit.connect(port);
      client.on('secureConnect', () => {
        client.unref();
        server.unref();
        console.log('secure');
      });
    });
  `);
  assert.deepStrictEqual({ status, stdout, stderr }, { status: 0, stdout: 'secure\n', stderr: '' });
});

// -- other contexts, other copies -----------------------------------------------------------------

for (const transport of TRANSPORTS) {
  test(`A10 options, bytes and listeners of another vm context, ${transport}`, async (t) => {
    const context = vm.createContext({ key: keys().server.key.toString(), heard: [],
                                       cert: keys().server.cert.toString() });
    const options = vm.runInContext('({ key, cert, ALPNProtocols: ["x"] })', context);
    const listener = vm.runInContext(
      '(s) => s.on("data", (d) => { heard.push(String(d)); s.end(d); })', context);
    const server = await serve(t, transport, options, listener);
    const client = await connected(transport, server.port,
      { ALPNProtocols: vm.runInContext('["x"]', context) });
    assert.strictEqual(client.alpnProtocol, 'x');
    client.write(vm.runInContext('new Uint8Array([104, 105])', context));
    assert.strictEqual((await once(client, 'data')).toString(), 'hi');
    assert.strictEqual(context.heard.join(), 'hi');
  });
}

/** Loads the module anew; `folder`: with the part in C that is there. */
function another(folder) {
  const library = path.dirname(file) + path.sep;
  const before = { ...require.cache };
  for (const name of Object.keys(require.cache))
    if (name.startsWith(library) || name.endsWith('.node')) delete require.cache[name];
  const { SECUREPAIR_BUILD_DIR: build } = process.env;
  if (folder) process.env.SECUREPAIR_BUILD_DIR = folder;
  try {
    return require(file);
  } finally {
    if (build === undefined) delete process.env.SECUREPAIR_BUILD_DIR;
    else process.env.SECUREPAIR_BUILD_DIR = build;
    Object.assign(require.cache, before);
  }
}

async function talk(t, other) {
  assert.notStrictEqual(other, tls);
  const server = other.createServer(identity(), (socket) => socket.end('from the other'));
  server.listen(0, HOST);
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address();
  for (const module of [tls, other]) {
    const client = module.connect({ port, host: HOST, servername: 'localhost', ca: keys().ca });
    assert.strictEqual((await once(client, 'data')).toString(), 'from the other');
    await once(client, 'close');
  }
  const mine = await serve(t, 'native', {}, (socket) => socket.end('from this'));
  assert.strictEqual((await once(connect('native', mine.port), 'data')).toString(), 'from this');
}

test('A10 the module loaded twice', { skip: builtin }, async (t) => {
  await talk(t, another());
});

test('A10 two copies of the part in C', { skip: builtin }, async (t) => {
  const folder = temporaryFolder(t);
  const loaded = Object.keys(require.cache).find((name) => name.endsWith('.node'));
  fs.copyFileSync(loaded, path.join(folder, path.basename(loaded)));
  await talk(t, another(folder));
});
