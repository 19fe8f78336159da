'use strict';
// Who is trusted where no `ca` is given: node's own list and NODE_EXTRA_CA_CERTS, or the system's
// (--use-openssl-ca). Read once, shared by every context.

const fs = require('node:fs');
const { Trust } = require('./binding');
const { coded, invalidType } = require('./errors');
const { flagged } = require('./settings');
// The real module's list, taken before `register` puts ours in its place.
const real = require('tls');

const BLOCK = /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----[^]*?-----END [^-]*-----/g;

let chosen;
let trust;
let extra;
let generation = 1;

function extraCertificates() {
  if (extra) return extra;
  extra = [];
  const file = process.env.NODE_EXTRA_CA_CERTS;
  if (!file) return extra;
  try {
    extra = fs.readFileSync(file, 'latin1').match(BLOCK) || [];
  } catch (error) {
    process.emitWarning(`Ignoring extra certs from \`${file}\`, load failed: ${error.message}`);
  }
  return extra;
}

function readable(pem) {
  try {
    new Trust([pem]);
    return true;
  } catch {
    return false;
  }
}

// One certificate that cannot be read must not take all the others away.
function trustOf(pems) {
  try {
    return new Trust(pems);
  } catch {
    return new Trust(pems.filter(readable));
  }
}

/** The Trust for contexts without a `ca`; undefined: let C read the system's roots. */
function rootTrust() {
  if (!chosen && flagged('--use-openssl-ca')) return undefined;
  if (!trust) trust = chosen ? new Trust(chosen) : trustOf(getCACertificates());
  return trust;
}

/** tls.getCACertificates: 'default', 'bundled', 'extra' or 'system'. */
function getCACertificates(type = 'default') {
  switch (type) {
    case 'bundled': return real.rootCertificates;
    case 'extra': return extraCertificates().slice();
    case 'default':
      return chosen ? chosen.slice() : [...real.rootCertificates, ...extraCertificates()];
    case 'system': return systemCertificates();
  }
  throw coded('ERR_INVALID_ARG_VALUE', `The argument 'type' is invalid. Received '${type}'`,
    TypeError);
}

const SYSTEM_FILES = [process.env.SSL_CERT_FILE, '/etc/ssl/certs/ca-certificates.crt',
                      '/etc/pki/tls/certs/ca-bundle.crt', '/etc/ssl/cert.pem'];

function systemCertificates() {
  const file = SYSTEM_FILES.find((name) => name && fs.existsSync(name));
  return (file && fs.readFileSync(file, 'latin1').match(BLOCK)) || [];
}

/** tls.setDefaultCACertificates: whom contexts made from now on trust without a `ca`. */
function setDefaultCACertificates(certs) {
  if (!Array.isArray(certs)) throw invalidType('certs', 'an instance of Array', certs);
  const pems = certs.map((cert) => (typeof cert === 'string' ? cert
    : Buffer.from(cert.buffer, cert.byteOffset, cert.byteLength).toString('latin1')));
  trust = new Trust(pems);
  chosen = pems;
  generation++;
}

/** Changes whenever the default trust does. */
function rootGeneration() {
  return generation;
}

module.exports = {
  rootTrust, rootGeneration, getCACertificates, setDefaultCACertificates,
  get rootCertificates() { return real.rootCertificates; },
};
