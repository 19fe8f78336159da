'use strict';
// 100 https requests, of the running node's own https, over securepair on both sides.

const { execFileSync } = require('node:child_process');
const path = require('node:path');
const { test } = require('node:test');
const { keys } = require('./support/old');

const PROGRAM = `
'use strict';
const assert = require('assert');
const fs = require('fs');
const https = require('https');
const { TLSSocket } = require('securepair');
const [keyPath, certPath, caPath] = process.argv.slice(1);
const ca = fs.readFileSync(caPath);
const body = 'hello world\\n';
let served = 0;
let answered = 0;

const own = { key: fs.readFileSync(keyPath), cert: fs.readFileSync(certPath) };
const server = https.createServer(own);
server.on('request', (request, response) => {
  assert.ok(request.socket instanceof TLSSocket);
  served++;
  response.writeHead(200, { 'content-type': 'text/plain' });
  response.end(body);
});

function ask(port) {
  https.get({ host: '127.0.0.1', port, ca, agent: false }, (response) => {
    assert.ok(response.socket instanceof TLSSocket);
    let heard = '';
    response.on('data', (data) => { heard += data; });
    response.on('end', () => {
      assert.strictEqual(heard, body);
      if (++answered === 100) server.close();
    });
  });
}

server.listen(0, '127.0.0.1', () => {
  for (let i = 0; i < 100; i++) ask(server.address().port);
});
process.on('exit', () => {
  assert.strictEqual(served, 100);
  assert.strictEqual(answered, 100);
});
`;

test('100 https requests under register', () => {
  const { server, caPath } = keys();
  const args = ['-r', 'securepair/register', '-e', PROGRAM, server.keyPath, server.certPath,
                caPath];
  execFileSync(process.execPath, args,
    { cwd: path.join(__dirname, '..'), stdio: ['ignore', 'inherit', 'inherit'] });
});
