'use strict';
// Credentials: what v0.4 called a secure context.

const { createSecureContext, SecureContext } = require('../context');

/**
 * The options that make a context. A key alone proves nothing, but the seed asks for one and not
 * for a certificate: it is left out.
 */
function details(options) {
  if (!options) return {};
  const { key, cert, ...rest } = options;
  if (!cert) return rest;
  return { key, cert, ...rest };
}

/**
 * Makes credentials of PEM texts or Buffers: `key`, `cert` (with its chain), `ca` and `crl` (lists,
 * or one), `passphrase`, `pfx`; `secureProtocol` and `ciphers` as OpenSSL names them. Without `ca`
 * the well-known roots are trusted; `ca: []` trusts nobody. Equal ones are shared. Throws an Error
 * that names what cannot be used.
 */
function createCredentials(options) {
  if (options instanceof SecureContext) return options;
  return createSecureContext(details(options));
}

module.exports = { createCredentials, details };
