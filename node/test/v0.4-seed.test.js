'use strict';
// The seed text as one follows it: its shell session makes the key and the certificate, its server
// runs byte for byte, and openssl and a client of ours talk to it.

const assert = require('node:assert');
const { execFileSync, spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { tls, sClient } = require('./support/old');

const HOME = path.join(__dirname, '..');
const SERVER = path.join(HOME, 'examples', 'seed-server.js');

// The seed's port is 8000, which may be taken here: this program is loaded before the seed's and
// has the system choose another one, which it prints.
const OTHER_PORT = `
const { Server } = require('net');
const { listen } = Server.prototype;
Server.prototype.listen = function (port, ...rest) {
  this.once('listening', () => console.log('listening on ' + this.address().port));
  return listen.call(this, port === 8000 ? 0 : port, ...rest);
};
`;

/** The seed's three commands, with a key of today's size; its questions are answered. */
function shellSession(folder) {
  const run = (line, input = '') =>
    execFileSync('openssl', line.split(' '), { cwd: folder, input, stdio: 'pipe' });
  run('genrsa -out ryans-key.pem 2048');
  run('req -new -key ryans-key.pem -out ryans-csr.pem', '\n\n\nsecurepair\n\nlocalhost\n\n\n\n');
  run('x509 -req -in ryans-csr.pem -signkey ryans-key.pem -out ryans-cert.pem');
  fs.copyFileSync(path.join(folder, 'ryans-key.pem'), path.join(folder, 'server-key.pem'));
  fs.copyFileSync(path.join(folder, 'ryans-cert.pem'), path.join(folder, 'server-cert.pem'));
}

/** A folder as a user has it: the server, its files, and the module installed. */
function folderOf(t) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'securepair-seed-'));
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  shellSession(folder);
  fs.copyFileSync(SERVER, path.join(folder, 'server.js'));
  fs.writeFileSync(path.join(folder, 'port.js'), OTHER_PORT);
  fs.mkdirSync(path.join(folder, 'node_modules'));
  fs.symlinkSync(HOME, path.join(folder, 'node_modules', 'securepair'));
  return folder;
}

async function startServer(t, folder) {
  const args = ['-r', './port.js', '-r', 'securepair/register-v0.4', 'server.js'];
  const child = spawn(process.execPath, args,
    { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  const gone = once(child, 'close');
  t.after(() => {
    child.kill();
    return gone;
  });
  const [line] = await once(child.stdout, 'data');
  return Number(/listening on (\d+)/.exec(line)[1]);
}

test('the seed, from its shell session to its echo', async (t) => {
  const folder = folderOf(t);
  const port = await startServer(t, folder);

  const peer = sClient(t, port, '-CAfile', path.join(folder, 'server-cert.pem'));
  await peer.saw(/^welcome!$/m);
  peer.child.stdin.write('hello from openssl\n');
  await peer.saw(/^hello from openssl$/m);
  peer.child.stdin.end();
  assert.strictEqual(await peer.gone, 0, peer.said);

  const ca = [fs.readFileSync(path.join(folder, 'server-cert.pem'))];
  const stream = tls.connect(port, '127.0.0.1', { ca, checkServerIdentity: false });
  stream.setEncoding('utf8');
  let heard = '';
  stream.on('data', (data) => {
    if (!heard) stream.end('hello from JavaScript\n');
    heard += data;
  });
  await once(stream, 'end');
  assert.strictEqual(heard, 'welcome!\nhello from JavaScript\n');
  assert.strictEqual(stream.authorized, true);
});

test('register-v0.4: the built-in names are the module of the seed', () => {
  const program = `
    const assert = require('assert');
    const tls = require('tls');
    const v04 = require('securepair/v0.4');
    for (const name of Object.keys(v04)) assert.strictEqual(tls[name], v04[name], name);
    assert.strictEqual(require('node:tls').connect, v04.connect);
    assert.strictEqual(require('crypto').createCredentials, v04.createCredentials);
  `;
  execFileSync(process.execPath, ['-r', 'securepair/register-v0.4', '-e', program],
    { cwd: HOME, stdio: ['ignore', 'inherit', 'inherit'] });
});
