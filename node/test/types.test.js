'use strict';
// The TypeScript declarations: a program that uses them compiles, one that misuses them does not.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { folder: packages, lacks, requirePackage } = require('./support/packages');
const { runNode, temporaryFolder } = require('./support/program');

const skip = lacks('typescript') || lacks('@types/node');

const PROGRAM = `
  import * as tls from 'securepair';
  import { connect, createServer, TLSSocket, TlsError } from 'securepair';
  import * as old from 'securepair/v0.4';
  import original = require('securepair/register');

  const server: tls.Server = createServer({ key: '', cert: '', strictEOF: true }, (socket) => {
    const cut: boolean = socket.truncated;
    socket.end(cut ? 'cut' : socket.getProtocol() ?? '');
  });
  server.on('tlsClientError', (error: TlsError) => console.log(error.explanation, error.reason));
  const socket: TLSSocket = connect({ port: 443, host: 'localhost', strictEOF: true });
  const native: typeof import('tls').connect = original.connect;
  console.log(native, socket.truncated, tls.rootCertificates.length);

  old.createServer({ key: '', cert: Buffer.alloc(0), ca: [''] }, (cleartext, encrypted) => {
    cleartext.write(cleartext.authorized ? 'welcome' : cleartext.authorizationError ?? '');
    encrypted.pause();
  }).listen(8000);
  const stream = old.connect(8000, 'localhost', { ca: [] }, () => stream.end());
  const pair = old.createSecurePair(old.createCredentials({ ca: '' }), false);
  pair.on('secure', () => console.log(pair.ssl.verifyError(), pair.cleartext.getCipher()?.name));
`;

const MISTAKES = `
  import { connect } from 'securepair';
  import { createServer } from 'securepair/v0.4';
  connect({ port: 443, strictEOF: 'yes' });
  createServer({ requestCert: 1 });
`;

// A folder where the package is installed, with that program in it.
function project(t, text) {
  const folder = temporaryFolder(t);
  const modules = path.join(folder, 'node_modules');
  fs.mkdirSync(path.join(modules, '@types'), { recursive: true });
  fs.symlinkSync(path.join(__dirname, '..'), path.join(modules, 'securepair'));
  for (const name of ['@types/node', 'undici-types'])
    fs.symlinkSync(path.join(packages, 'node_modules', name), path.join(modules, name));
  const file = path.join(folder, 'program.ts');
  fs.writeFileSync(file, text);
  return file;
}

function compile(file, ...options) {
  const args = [requirePackage.resolve('typescript/bin/tsc'), '--strict', '--noEmit', '--target',
                'es2022', '--preserveSymlinks', ...options, file];
  return runNode(args, { cwd: path.dirname(file), env: { ...process.env, LD_PRELOAD: '' } });
}

async function compiles(t, ...options) {
  const { stdout, status } = await compile(project(t, PROGRAM), ...options);
  assert.strictEqual(stdout, '');
  assert.strictEqual(status, 0);
}

test('a program compiles, and so do the declarations', { skip }, (t) =>
  compiles(t, '--module', 'node16'));

test('also where TypeScript does not read "exports"', { skip }, (t) =>
  compiles(t, '--module', 'commonjs', '--skipLibCheck'));

test('mistakes are found', { skip }, async (t) => {
  const { stdout, status } = await compile(project(t, MISTAKES), '--module', 'node16',
    '--skipLibCheck');
  assert.notStrictEqual(status, 0);
  assert.deepStrictEqual(stdout.match(/error TS\d+/g), ['error TS2769', 'error TS2769']);
});
