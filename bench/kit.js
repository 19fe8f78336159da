'use strict';
// What a run needs before it can start: keys, and our own programs compiled, in a folder that is
// removed at the end.

const { execFile, execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { promisify } = require('node:util');

const here = __dirname;
const root = path.join(here, '..');

const packageWords = (...names) =>
  execFileSync('pkg-config', ['--cflags', '--libs', ...names], { encoding: 'utf8' }).trim().split(/\s+/);

const TLS = ['-lssl', '-lcrypto'];

// Each program of ours by its file, and what it is linked with.
const PROGRAMS = {
  load: () => TLS,
  latency: () => TLS,
  bare: () => TLS,
  backend: () => [],
  'cpu-time': () => [],
  libevent: () => [...packageWords('libevent', 'libevent_openssl'), ...TLS],
  server: (build) => [
    `-I${path.join(root, 'include')}`, path.join(build, 'libsecurepair.so'), `-Wl,-rpath,${build}`,
    ...packageWords('libuv'), ...TLS, '-lpthread', '-ldl',
  ],
};

async function compile(source, to, words) {
  const cc = process.env.CC ?? 'cc';
  try {
    await promisify(execFile)(cc, ['-std=gnu11', '-D_GNU_SOURCE', '-O2', source, '-o', to, ...words]);
  } catch (error) {
    throw new Error(`${path.relative(root, source)} could not be compiled by ${cc}:\n${error.stderr ?? error.message}`);
  }
}

const KEYS = {
  ecdsa: ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  rsa: ['rsa:2048'],
};

// One key and its certificate, in files of their own and in one, as some want it.
function makeKey(folder, kind) {
  const key = path.join(folder, `${kind}-key.pem`);
  const cert = path.join(folder, `${kind}-cert.pem`);
  const both = path.join(folder, `${kind}.pem`);
  execFileSync('openssl', ['req', '-x509', '-newkey', ...KEYS[kind], '-nodes', '-subj', '/CN=localhost',
    '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert, '-days', '2'], { stdio: 'ignore' });
  fs.writeFileSync(both, fs.readFileSync(key, 'utf8') + fs.readFileSync(cert, 'utf8'), { mode: 0o600 });
  return { key, cert, both };
}

// programs: names of PROGRAMS; kinds: of KEYS. What cannot be compiled is left out, and told.
async function makeKit({ build, programs, kinds }, tell) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'securepair-bench-'));
  const at = (name) => path.join(folder, name);
  const kit = {
    folder, root, build,
    keys: Object.fromEntries(kinds.map((kind) => [kind, makeKey(folder, kind)])),
    preload: at('cubic.so'),
    missing: new Map(),
    program: at,
  };
  process.once('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
  const jobs = programs.map(async (name) => {
    try {
      await compile(path.join(here, `${name}.c`), at(name), PROGRAMS[name](build));
    } catch (error) {
      kit.missing.set(name, error.message);
      tell(`without ${name}: ${error.message.split('\n')[0]}`);
    }
  });
  await Promise.all([compile(path.join(here, 'cubic.c'), kit.preload, ['-shared', '-fPIC']), ...jobs]);
  return kit;
}

module.exports = { makeKit };
