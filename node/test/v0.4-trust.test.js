'use strict';
// Data over a stream that is not authorized, and nobody looked: one warning a process.

const assert = require('node:assert');
const { execFile } = require('node:child_process');
const path = require('node:path');
const { test } = require('node:test');
const { keys } = require('./support/old');

const MODULE = path.join(__dirname, '..', 'lib', 'v0.4');

// The program has `tls`, `key`, `cert`, `serve(options, listener, then)` and `done`.
const FRAME = `
'use strict';
const tls = require(${JSON.stringify(MODULE)});
const fs = require('fs');
const [keyPath, certPath] = process.argv.slice(1);
const own = { key: fs.readFileSync(keyPath), cert: fs.readFileSync(certPath) };
let server;
function serve(options, listener, then) {
  server = tls.createServer({ ...own, ...options }, listener);
  server.listen(0, '127.0.0.1', () => then(server.address().port));
}
const done = () => server.close();
process.on('warning', (warning) => console.log(warning.name, warning.code, warning.message));
`;

function run(program) {
  const { keyPath, certPath } = keys().server;
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ['--no-warnings', '-e', FRAME + program, keyPath, certPath],
      (error, stdout) => (error ? reject(error) : resolve(stdout)));
  });
}

const CARELESS = {
  'writes': `serve({}, (s) => s.resume(), (port) => {
    const s = tls.connect(port, '127.0.0.1', () => s.end('secret'));
    s.on('close', done);
  });`,
  'wrote before it could know': `serve({}, (s) => s.resume(), (port) => {
    const s = tls.connect(port, '127.0.0.1');
    s.end('secret');
    s.on('close', done);
  });`,
  'reads': `serve({}, (s) => s.end('rumour'), (port) => {
    const s = tls.connect(port, '127.0.0.1');
    s.on('data', () => {});
    s.on('close', done);
  });`,
  'pipes': `serve({}, (s) => s.end('rumour'), (port) => {
    const s = tls.connect(port, '127.0.0.1', () => s.pipe(s));
    s.on('close', done);
  });`,
  'asked its clients': `serve({ requestCert: true }, (s) => s.end('secret'), (port) => {
    const s = tls.connect(port, '127.0.0.1', () => s.authorized);
    s.on('close', done);
  });`,
  'is careless three times': `let left = 3;
  serve({}, (s) => s.end('rumour'), (port) => {
    for (let i = 0; i < 3; i++) {
      const s = tls.connect(port, '127.0.0.1');
      s.on('close', () => --left || done());
    }
  });`,
};

for (const [name, program] of Object.entries(CARELESS)) {
  test(`a program that ${name}`, async () => {
    const lines = (await run(program)).trim().split('\n');
    assert.strictEqual(lines.length, 1, lines.join('\n'));
    assert.match(lines[0], /^SecurityWarning SECUREPAIR_UNAUTHORIZED .*authorized/);
  });
}

const CAREFUL = {
  'looks': `serve({}, (s) => s.end('rumour'), (port) => {
    const s = tls.connect(port, '127.0.0.1', () => { if (!s.authorized) s.end('anyway'); });
    s.on('close', done);
  });`,
  'looks at the error': `serve({}, (s) => s.end('rumour'), (port) => {
    const s = tls.connect(port, '127.0.0.1', () => { if (s.authorizationError) s.end('anyway'); });
    s.on('close', done);
  });`,
  'is authorized': `serve({}, (s) => s.end('news'), (port) => {
    const ca = [fs.readFileSync(certPath.replace('server-cert', 'root-cert'))];
    const s = tls.connect(port, '127.0.0.1', { ca }, () => s.write('hello'));
    s.on('close', done);
  });`,
  'moves nothing': `serve({}, (s) => s.end(), (port) => {
    const s = tls.connect(port, '127.0.0.1');
    s.on('close', done);
  });`,
  'did not ask its clients': `serve({}, (s) => s.pipe(s), (port) => {
    const s = tls.connect(port, '127.0.0.1', () => { s.authorized; s.end('hello'); });
    s.on('close', done);
  });`,
  'reads what verifyError says': `serve({}, (s) => s.end('rumour'), (port) => {
    const s = tls.connect(port, '127.0.0.1', () => { s.pair.ssl.verifyError(); s.write('x'); });
    s.on('close', done);
  });`,
};

for (const [name, program] of Object.entries(CAREFUL)) {
  test(`a program that ${name} is not warned`, async () => {
    assert.strictEqual(await run(program), '');
  });
}
