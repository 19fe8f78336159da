'use strict';
// Node's own fetch, on securepair: its roots come from the environment, so it is a program of its
// own.

require('../register');

const assert = require('node:assert');
const https = require('node:https');
const path = require('node:path');
const { test } = require('node:test');
const { keys } = require('./support/keys');
const { assertOurs } = require('./support/ours');
const { register, runNode } = require('./support/program');
const { listen } = require('./support/serving');

const { key, cert } = keys().server;

const PROGRAM = `
  const { subscribe } = require('node:diagnostics_channel');
  const { assertOurs } = require(${JSON.stringify(path.join(__dirname, 'support', 'ours.js'))});
  let connections = 0;
  subscribe('undici:client:connected', ({ socket }) => { assertOurs(socket); connections++; });
  async function main(url) {
    const answer = await fetch(url, { method: 'POST', body: 'a question' });
    console.log(answer.status, await answer.text());
    console.log(connections, 'connection of ours');
  }
  main(process.env.URL_TO_FETCH).catch((error) => console.log(error.cause.code));
`;

function fetchFrom(port, environment) {
  const env = { ...process.env, ...environment, URL_TO_FETCH: `https://localhost:${port}/` };
  return runNode(['-r', register, '-e', PROGRAM], { env });
}

function serve(t) {
  return listen(https.createServer({ key, cert }, (request, response) => {
    assertOurs(request.socket);
    request.pipe(response);
  }), t);
}

test('a page', async (t) => {
  const { stdout, stderr } = await fetchFrom(await serve(t),
    { NODE_EXTRA_CA_CERTS: keys().caPath });
  assert.strictEqual(stderr, '');
  assert.strictEqual(stdout, '200 a question\n1 connection of ours\n');
});

test('a server that cannot be trusted', async (t) => {
  const { stdout } = await fetchFrom(await serve(t), { NODE_EXTRA_CA_CERTS: '' });
  assert.strictEqual(stdout, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE\n');
});
