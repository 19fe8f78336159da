'use strict';
// Keys and certificates for the tests, made by the openssl command into a folder. ./run makes them once
// for all (node support/keys.js FOLDER) and says in SECUREPAIR_TEST_KEYS where they are; a test that
// runs alone makes its own, which go with it.

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const LOCALHOST = 'DNS:localhost,IP:127.0.0.1,IP:::1';

// name: who signs it (itself when absent), what it is for, and what is odd about it.
const CERTIFICATES = {
  root: { ca: true, cn: 'securepair test root' },
  otherRoot: { ca: true, cn: 'securepair other root' },
  intermediate: { by: 'root', ca: true, cn: 'securepair test intermediate' },
  server: { by: 'root', cn: 'localhost', names: LOCALHOST, use: 'serverAuth,clientAuth' },
  serverRsa: { by: 'root', cn: 'localhost', names: LOCALHOST, rsa: true },
  chained: { by: 'intermediate', cn: 'localhost', names: LOCALHOST },
  client: { by: 'root', cn: 'client', names: 'email:client@example.com', use: 'clientAuth' },
  clientOnly: { by: 'root', cn: 'localhost', names: LOCALHOST, use: 'clientAuth' },
  serverOnly: { by: 'root', cn: 'localhost', names: LOCALHOST, use: 'serverAuth' },
  expired: { by: 'root', cn: 'localhost', names: LOCALHOST, from: '20200101000000Z',
             to: '20200201000000Z' },
  wrongName: { by: 'root', cn: 'mail.example', names: 'DNS:mail.example,DNS:*.wild.example' },
  a: { by: 'root', cn: 'a.example', names: 'DNS:a.example' },
  b: { by: 'root', cn: 'b.example', names: 'DNS:*.b.example,DNS:b.example' },
  other: { by: 'otherRoot', cn: 'localhost', names: LOCALHOST },
  otherClient: { by: 'otherRoot', cn: 'stranger', use: 'clientAuth' },
  selfSigned: { cn: 'localhost', names: LOCALHOST },
};

const CONFIGURATION = `
[ca]
default_ca = it
[it]
new_certs_dir = .
database = index.txt
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
default_crl_days = 30
[any]
commonName = supplied
organizationName = optional
countryName = optional
[req]
distinguished_name = name
[name]
`;

const FOLDER = process.env.SECUREPAIR_TEST_KEYS;

let all;

function openssl(folder, ...args) {
  return execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
}

function makeKey(folder, name, rsa) {
  const kind = rsa ? ['RSA', '-pkeyopt', 'rsa_keygen_bits:2048']
    : ['EC', '-pkeyopt', 'ec_paramgen_curve:P-256'];
  openssl(folder, 'genpkey', '-algorithm', ...kind, '-out', `${name}-key.pem`);
}

function extensions(kind) {
  const lines = [`basicConstraints=critical,CA:${kind.ca ? 'TRUE' : 'FALSE'}`,
                 'subjectKeyIdentifier=hash'];
  if (kind.by) lines.push('authorityKeyIdentifier=keyid');
  if (kind.ca) lines.push('keyUsage=critical,keyCertSign,cRLSign');
  if (kind.names) lines.push(`subjectAltName=${kind.names}`);
  if (kind.use) lines.push(`extendedKeyUsage=${kind.use}`);
  return lines.join('\n') + '\n';
}

function day(offset) {
  return new Date(Date.now() + offset * 86400000).toISOString().replace(/[-:T]|\.\d+/g, '');
}

function makeCertificate(folder, name, kind) {
  makeKey(folder, name, kind.rsa);
  const issuer = kind.by || name;
  fs.writeFileSync(path.join(folder, `${name}.ext`), extensions(kind));
  openssl(folder, 'req', '-new', '-config', 'ca.cnf', '-subj', `/C=XX/O=securepair/CN=${kind.cn}`,
    '-key', `${name}-key.pem`, '-out', `${name}.csr`);
  openssl(folder, 'ca', '-batch', '-notext', '-config', 'ca.cnf', '-extfile', `${name}.ext`,
    '-startdate', kind.from || day(-1), '-enddate', kind.to || day(30),
    '-in', `${name}.csr`, '-out', `${name}-cert.pem`, '-keyfile', `${issuer}-key.pem`,
    ...(kind.by ? ['-cert', `${issuer}-cert.pem`] : ['-selfsign']));
}

function readCertificate(folder, name) {
  const keyPath = path.join(folder, `${name}-key.pem`);
  const certPath = path.join(folder, `${name}-cert.pem`);
  return { keyPath, certPath, key: fs.readFileSync(keyPath), cert: fs.readFileSync(certPath) };
}

function makeExtras(folder) {
  fs.writeFileSync(path.join(folder, 'index.txt'), '');
  openssl(folder, 'ca', '-config', 'ca.cnf', '-revoke', 'client-cert.pem',
    '-keyfile', 'root-key.pem', '-cert', 'root-cert.pem');
  openssl(folder, 'ca', '-config', 'ca.cnf', '-gencrl', '-out', 'crl.pem',
    '-keyfile', 'root-key.pem', '-cert', 'root-cert.pem');
  openssl(folder, 'pkcs12', '-export', '-passout', 'pass:secret', '-inkey', 'server-key.pem',
    '-in', 'server-cert.pem', '-certfile', 'root-cert.pem', '-out', 'server.pfx');
  openssl(folder, 'pkey', '-in', 'server-key.pem', '-aes128', '-passout', 'pass:secret',
    '-out', 'server-locked-key.pem');
}

function make(folder) {
  fs.writeFileSync(path.join(folder, 'ca.cnf'), CONFIGURATION);
  fs.writeFileSync(path.join(folder, 'index.txt'), '');
  for (const [name, kind] of Object.entries(CERTIFICATES)) makeCertificate(folder, name, kind);
  makeExtras(folder);
}

function makeOwn() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'securepair-keys-'));
  process.once('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
  make(folder);
  return folder;
}

function read(folder) {
  const file = (name) => fs.readFileSync(path.join(folder, name));
  const found = { folder };
  for (const name of Object.keys(CERTIFICATES)) found[name] = readCertificate(folder, name);
  found.chained.chain = Buffer.concat([found.chained.cert, found.intermediate.cert]);
  return Object.assign(found, {
    ca: found.root.cert, caPath: found.root.certPath,
    otherCa: found.otherRoot.cert, otherCaPath: found.otherRoot.certPath,
    crl: file('crl.pem'), pfx: file('server.pfx'), lockedKey: file('server-locked-key.pem'),
  });
}

/**
 * Everything there is: for each name in CERTIFICATES { key, cert, keyPath, certPath } (PEM, as
 * Buffers), `chained.chain` (leaf and intermediate); `ca` and `otherCa`, the roots' certificates,
 * with `caPath` and `otherCaPath`; `crl` (revokes client), `pfx` (of server, passphrase 'secret'),
 * `lockedKey` (of server, same passphrase), `folder`.
 */
function keys() {
  all = all || read(FOLDER || makeOwn());
  return all;
}

if (require.main === module) make(process.argv[2]);

module.exports = { keys };
