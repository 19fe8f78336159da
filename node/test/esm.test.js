'use strict';
// ES modules get ours, too, by default and by name.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { keys } = require('./support/keys');
const { register, runNode, temporaryFolder } = require('./support/program');

const support = JSON.stringify(path.join(__dirname, 'support', 'ours.js'));

const PROGRAM = `
  import tls, { connect, createServer, TLSSocket } from 'node:tls';
  import * as plain from 'tls';
  import https from 'node:https';
  import fs from 'node:fs';
  import support from ${support};

  const { KEY, CERT, CA } = process.env;
  const key = fs.readFileSync(KEY), cert = fs.readFileSync(CERT), ca = fs.readFileSync(CA);
  console.log(tls.connect === connect, plain.connect === connect, tls.TLSSocket === TLSSocket,
              Object.getPrototypeOf(https.Server) === tls.Server);
  const server = createServer({ key, cert }, (socket) => {
    support.assertOurs(socket);
    socket.end('welcome!');
  });
  server.listen(0, '127.0.0.1', () => {
    const { port } = server.address();
    const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ca }, () =>
      support.assertOurs(socket));
    socket.setEncoding('utf8').on('data', console.log).on('end', () => server.close());
  });
`;

function environment() {
  const { server, caPath } = keys();
  return { ...process.env, KEY: server.keyPath, CERT: server.certPath, CA: caPath };
}

for (const option of ['-r', '--import'])
  test(`node ${option} securepair/register`, async (t) => {
    const file = path.join(temporaryFolder(t), 'program.mjs');
    fs.writeFileSync(file, PROGRAM);
    const { stdout, stderr } = await runNode([option, register, file], { env: environment() });
    assert.strictEqual(stderr, '');
    assert.strictEqual(stdout, 'true true true true\nwelcome!\n');
  });

test('import of the package itself', async (t) => {
  const file = path.join(temporaryFolder(t), 'program.mjs');
  const main = JSON.stringify(path.join(__dirname, '..', 'lib', 'tls.js'));
  fs.writeFileSync(file, `import securepair, { connect, createServer } from ${main};
    console.log(securepair.connect === connect, typeof createServer);`);
  const { stdout, stderr } = await runNode([file]);
  assert.strictEqual(stderr, '');
  assert.strictEqual(stdout, 'true function\n');
});
