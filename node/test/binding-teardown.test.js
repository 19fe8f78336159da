'use strict';
// How environments end: Workers with everything open, exits and exceptions in callbacks, two copies
// of the binding, collections in between. Each scenario is a program of its own.

const assert = require('node:assert');
const { spawn } = require('node:child_process');
const path = require('node:path');
const { test } = require('node:test');
const { keys } = require('./support/keys');
const { howMany } = require('./support/memory');

const { ca, server: identity } = keys();
const native = path.join(__dirname, 'support/native.js');

// What every program begins with: contexts, and a server to which `clients` are connected.
const PRELUDE = `
'use strict';
const { binding, unowned, once, serve, connect, stop } = require(${JSON.stringify(native)});
const { Worker, isMainThread, parentPort } = require('node:worker_threads');
const forServer = new binding.Context({ identities: [{ key: process.env.TEST_KEY,
  cert: process.env.TEST_CERT }] });
const forClient = new binding.Context({ ca: [process.env.TEST_CA] });
const held = [];
async function busy(listeners = {}, silent = true) {
  const server = serve(forServer, { onconnection: (stream) => {
    held.push(stream);
    stream.readStart();
    stream.write(Buffer.alloc(4 << 20)); // pending for ever
  }, ...listeners });
  const clients = await Promise.all([1, 2, 3].map(() => connect(server.port, forClient)));
  await Promise.all(clients.map((client) => once(client, 'onsecure')));
  held.push(server, ...clients);
  const over = binding.over(binding.CLIENT, forClient, { serverName: 'localhost' });
  held.push(over);
  if (silent) require('node:net').connect(server.port, '127.0.0.1').on('error', () => {});
  return { server, clients, over };
}
`;

function run(program, flags = []) {
  const env = { ...process.env, TEST_KEY: identity.key.toString(),
                TEST_CERT: identity.cert.toString(), TEST_CA: ca.toString() };
  const child = spawn(process.execPath, [...flags, '-e', PRELUDE + program], { env });
  return new Promise((resolve) => {
    let output = '';
    child.stdout.on('data', (chunk) => { output += chunk; });
    child.stderr.on('data', (chunk) => { output += chunk; });
    child.on('close', (code, signal) => resolve({ code, signal, output }));
  });
}

async function ends(program, { code = 0, says = /^$/, flags } = {}) {
  const result = await run(program, flags);
  assert.deepStrictEqual([result.code, result.signal], [code, null], result.output);
  assert.match(result.output, says);
}

const IN_WORKER = (body) => `
  const source = PRELUDE + ${JSON.stringify(body)};
  let left = ${howMany({ sanitized: 5, usual: 20 })};
  function next() {
    if (!left--) return;
    const worker = new Worker(source, { eval: true });
    worker.on('message', () => worker.terminate());
    worker.on('error', (error) => { throw error; });
    worker.on('exit', next);
  }
  next();
`.replace('PRELUDE', JSON.stringify(PRELUDE));

test('Workers that are terminated with everything open', () =>
  ends(IN_WORKER('busy().then(() => parentPort.postMessage("now"));')));

test('Workers that are terminated in the middle of work', () =>
  ends(IN_WORKER(`
    busy({ onconnection: (stream) => {
      held.push(stream);
      stream.ondata = (slab, at, n) => stream.write(slab.subarray(at, at + n));
      stream.readStart();
    } }).then(({ clients }) => {
      for (const client of clients) {
        client.ondata = (slab, at, n) => client.write(slab.subarray(at, at + n));
        client.readStart();
        client.write(Buffer.alloc(100000));
      }
      parentPort.postMessage('now');
    });`)));

test('Workers that exit in a callback', () =>
  ends(IN_WORKER('busy({ onconnection: () => process.exit() });')));

test('Workers that end with handles that nobody waits for', () =>
  ends(IN_WORKER(`busy({ onconnection: (stream) => held.push(stream) }, false).then(() => {
    for (const handle of held) handle.unref();
  });`)));

test('Workers that never had a stream', () => ends(IN_WORKER('void forServer;')));

for (const [name, hook] of [['onconnection'], ['onservername', 'SERVER_NAME'],
                            ['onkeylog', 'KEYLOG']])
  test(`process.exit in ${name}`, () => ends(`
    const listener = () => process.exit(7);
    unowned.${name} = listener;
    const hooked = new binding.Context({ hooks: binding.HOOKS.${hook} || 0,
      identities: [{ key: process.env.TEST_KEY, cert: process.env.TEST_CERT }] });
    const server = serve(hooked, { ${name}: listener });
    connect(server.port, forClient);`, { code: 7 }));

for (const name of ['ondata', 'onend', 'onwrite', 'onended', 'onclose', 'onsession', 'onsecure'])
  test(`an exception in ${name}`, () => ends(`
    let thrown = 0;
    process.on('uncaughtException', (error) => {
      if (error.message !== 'as expected') throw error;
      thrown++;
    });
    process.on('exit', () => { process.exitCode = thrown === 1 ? 0 : 1; });
    const server = serve(forServer, { onconnection: (stream) => {
      stream.ondata = () => {};
      stream.onend = () => stream.end();
      stream.readStart();
      stream.write(Buffer.from('x'));
    } });
    server.unref();
    connect(server.port, forClient).then((stream) => {
      const usual = { ondata() {}, onend() {}, onsecure() {
        stream.readStart();
        if (stream.write(Buffer.alloc(8 << 20))) throw new Error('it has to wait');
      }, onwrite() { stream.end(); }, onended() {} };
      Object.assign(stream, usual);
      stream.${name} = (...args) => {
        stream.${name} = undefined;
        usual.${name}?.(...args);
        throw new Error('as expected');
      };
    });`));

test('an exception that nobody catches', () => ends(`
  busy({ onconnection: () => { throw new Error('out of it'); } });`,
{ code: 1, says: /Error: out of it/ }));

test('collections in every callback', () => ends(`
  const all = ['onsecure', 'ondata', 'onend', 'onwrite', 'onended', 'onclose', 'onsession'];
  const echo = (stream) => {
    for (const name of all) stream[name] = () => gc();
    stream.ondata = (slab, at, n) => { gc(); stream.write(slab.subarray(at, at + n)); };
    stream.onend = () => { gc(); stream.end(); };
    stream.readStart();
  };
  const server = serve(forServer, { onconnection: echo, onserverclose: () => gc() });
  (async () => {
    for (let i = 0; i < 5; i++) {
      const client = await connect(server.port, forClient);
      const closed = once(client, 'onclose');
      for (const name of all.slice(0, 5)) client[name] = () => gc();
      client.onsecure = () => { client.readStart(); client.write(Buffer.alloc(20000)); client.end(); };
      await closed;
    }
    server.close();
  })();`, { flags: ['--expose-gc'] }));

test('a server that is forgotten, and one that listens', () => ends(`
  new binding.Server(forServer, {});
  const { port } = serve(forServer, { onconnection: (stream) => {
    stream.write(Buffer.from('still here'));
    stream.end();
  } });
  gc();
  setImmediate(async () => {
    gc();
    const client = await connect(port, forClient);
    client.ondata = () => process.exit();
    client.readStart();
  });`, { flags: ['--expose-gc'] }));

test('the binding loaded twice', () => ends(`
  const file = Object.keys(require.cache).find((name) => name.endsWith('.node'));
  delete require.cache[file];
  const other = require(file);
  if (other.Stream === binding.Stream) throw new Error('the same one');
  other.start({});
  let refused;
  try { new other.Server(forServer, {}); } catch (error) { refused = error; }
  if (!(refused instanceof TypeError)) throw new Error('a context of another copy');
  const server = new other.Server(new other.Context({}), {});
  server.listen('127.0.0.1', 0);
  server.unref();`));
