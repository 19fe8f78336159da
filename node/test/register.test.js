'use strict';
// What `register` does to node's modules, and when.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { keys } = require('./support/keys');
const { register, registerOld, runNode, temporaryFolder } = require('./support/program');

const home = path.join(__dirname, '..');
const { server, caPath } = keys();

// What every program below begins with.
const PREFACE = `
  const fs = require('node:fs');
  const { once } = require('node:events');
  const ours = require(${JSON.stringify(path.join(home, 'lib/tls.js'))});
  const { assertOurs } = require(${JSON.stringify(path.join(__dirname, 'support/ours.js'))});
  const key = fs.readFileSync(${JSON.stringify(server.keyPath)});
  const cert = fs.readFileSync(${JSON.stringify(server.certPath)});
  const ca = fs.readFileSync(${JSON.stringify(caPath)});
`;

async function runProgram(text, options = ['-r', register]) {
  const { stdout, stderr } = await runNode([...options, '-e', `${PREFACE}${text}`]);
  assert.strictEqual(stderr, '');
  return stdout.trim();
}

test('tls, node:tls and what https is made of are ours', async () => {
  assert.strictEqual(await runProgram(`
    const tls = require('tls'), https = require('https'), http2 = require('http2');
    const names = Object.keys(ours).filter((name) => name !== 'rootCertificates');
    console.log(names.every((name) => tls[name] === ours[name]),
                tls === require('node:tls'),
                https.createServer() instanceof ours.Server,
                http2.createSecureServer({}) instanceof ours.Server);`),
  'true true true true');
});

test('what a program sets on tls counts', async () => {
  assert.strictEqual(await runProgram(`
    const tls = require('tls');
    tls.DEFAULT_MIN_VERSION = 'TLSv1.3';
    const server = tls.createServer({ key, cert, maxVersion: 'TLSv1.3' });
    server.listen(0, '127.0.0.1', () => {
      tls.DEFAULT_MAX_VERSION = tls.DEFAULT_MIN_VERSION = 'TLSv1.2';
      const socket = tls.connect({ port: server.address().port, host: '127.0.0.1', ca });
      socket.on('error', (error) => { console.log(error.code); server.close(); });
    });`), 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
});

test('node\'s own tls is what the module gives', async () => {
  assert.strictEqual(await runProgram(`
    const original = require(${JSON.stringify(register)}), tls = require('tls');
    console.log(original.connect !== tls.connect, /native|_init/.test(original.TLSSocket),
                original.rootCertificates === tls.rootCertificates);`), 'true true true');
});

// An https server and an http2 server answer in turn.
const SERVE = `
  async function serve() {
    const https = require('https'), http2 = require('http2');
    const server = https.createServer({ key, cert }, (request, response) => {
      assertOurs(request.socket);
      response.end('by https');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address();
    const request = https.get({ host: '127.0.0.1', port, ca, agent: false });
    const [response] = await once(request, 'response');
    assertOurs(response.socket);
    console.log(String((await once(response, 'data'))[0]));
    server.close();

    const second = http2.createSecureServer({ key, cert }, (request, response) => response.end());
    second.on('secureConnection', assertOurs);
    second.listen(0, '127.0.0.1');
    await once(second, 'listening');
    const session = http2.connect('https://localhost:' + second.address().port, { ca });
    await once(session.request({ ':path': '/' }).resume(), 'end');
    console.log('by http2');
    session.close();
    second.close();
  }`;

test('also when https and http2 were there before', async () => {
  assert.strictEqual(await runProgram(`
    require('https'); require('http2');
    require(${JSON.stringify(register)});
    ${SERVE} serve();`, []), 'by https\nby http2');
});

test('a Worker inherits it', async () => {
  assert.strictEqual(await runProgram(`
    const { Worker, isMainThread } = require('node:worker_threads');
    const program = ${JSON.stringify(`${PREFACE}${SERVE} serve();`)};
    new Worker(program, { eval: true });`), 'by https\nby http2');
});

test('twice is once, and a second copy of the package finds the first', async (t) => {
  const copy = path.join(temporaryFolder(t), 'securepair');
  fs.mkdirSync(copy);
  for (const name of ['lib', 'register.js', 'package.json'])
    fs.cpSync(path.join(home, name), path.join(copy, name), { recursive: true });
  const built = process.env.SECUREPAIR_BUILD_DIR || path.join(home, 'build');
  const { stdout, stderr } = await runNode(['-r', register, '-e', `${PREFACE}
    const { connect } = require('tls');
    const original = require(${JSON.stringify(path.join(copy, 'register.js'))});
    console.log(require('tls').connect === connect, original.connect !== connect);`],
  { env: { ...process.env, SECUREPAIR_BUILD_DIR: built } });
  assert.strictEqual(stderr, '');
  assert.strictEqual(stdout, 'true true\n');
});

test('the two kinds of register exclude each other', async () => {
  const { status, stderr } = await runNode(['-r', register, '-r', registerOld, '-e', '0']);
  assert.notStrictEqual(status, 0);
  assert.match(stderr, /tls is replaced already, by securepair\/register;/);
});

test('register-v0.4 gives the module of that time', async () => {
  assert.strictEqual(await runProgram(`
    const tls = require('tls'), old = require(${JSON.stringify(path.join(home, 'lib/v0.4.js'))});
    console.log(Object.keys(old).every((name) => tls[name] === old[name]),
                require('crypto').createCredentials === old.createCredentials);`,
  ['-r', registerOld]), 'true true');
});
