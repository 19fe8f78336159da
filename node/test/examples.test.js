'use strict';
// The examples do what they say.

const assert = require('node:assert');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { keys } = require('./support/keys');
const { temporaryFolder } = require('./support/program');

const examples = path.join(__dirname, '..', 'examples');

// A program that runs, ended with the test; `said(pattern)` waits until it said that.
function start(t, name, args, cwd) {
  const child = spawn(process.execPath, [path.join(examples, name), ...args], { cwd });
  let text = '';
  for (const output of [child.stdout, child.stderr])
    output.setEncoding('utf8').on('data', (chunk) => { text += chunk; });
  const gone = once(child, 'close');
  t.after(() => {
    child.kill();
    return gone;
  });
  const said = async (pattern) => {
    while (!pattern.test(text)) await Promise.race([once(child.stdout, 'data'),
                                                    once(child.stderr, 'data')]);
    return pattern.exec(text);
  };
  return { child, said, gone };
}

async function startServer(t) {
  const folder = temporaryFolder(t);
  const { keyPath, certPath } = keys().server;
  fs.copyFileSync(keyPath, path.join(folder, 'server-key.pem'));
  fs.copyFileSync(certPath, path.join(folder, 'server-cert.pem'));
  const server = start(t, 'server.js', ['0'], folder);
  return (await server.said(/listening on port (\d+)/))[1];
}

test('server.js and client.js talk to each other', async (t) => {
  const client = start(t, 'client.js', ['127.0.0.1', await startServer(t), keys().caPath]);
  await client.said(/welcome!/);
  client.child.stdin.end('good day\n');
  await client.said(/good day/);
  assert.deepStrictEqual(await client.gone, [0, null]);
});

test('client.js refuses a server that it cannot trust', async (t) => {
  const client = start(t, 'client.js', ['127.0.0.1', await startServer(t), keys().otherCaPath]);
  const [status] = await client.gone;
  assert.strictEqual(status, 1);
  await client.said(/\bcertificate\b/);
});

test('client.js without arguments says how it is used', async (t) => {
  const client = start(t, 'client.js', []);
  await client.said(/^usage: node client.js HOST PORT \[CA-FILE\]$/m);
  assert.deepStrictEqual(await client.gone, [2, null]);
});
