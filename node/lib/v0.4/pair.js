'use strict';
// The secure pair: a TLS connection over whatever the program moves its encrypted bytes with.

const { CleartextStream } = require('./cleartext');
const { createCredentials } = require('./credentials');
const { wire } = require('./encrypted');
const { StreamPair } = require('./stream-pair');

/**
 * A pair of streams: what is written to `encrypted` comes out of `cleartext` decrypted, and the
 * other way round. Emits `secure` when the handshake is done; `cleartext.authorized` is known then,
 * and `ssl.verifyError()` tells why not. Of a handshake that fails nothing is told but `close` on
 * both streams, unless it is a client's and somebody listens for `error` on `cleartext`.
 */
class SecurePair extends StreamPair {
  constructor(credentials, isServer, requestCert, rejectUnauthorized) {
    super();
    const [near, far] = wire(this);
    this.credentials = credentials || createCredentials();
    this.encrypted = far;
    this.attach(new CleartextStream(near, {
      secureContext: this.credentials,
      isServer: !!isServer,
      requestCert: !isServer || !!requestCert,
      rejectUnauthorized: !!isServer && !!rejectUnauthorized,
    }, this), far);
  }
}

/**
 * A SecurePair in the role of a server or, by default, of a client. A server asks its client for a
 * certificate if `requestCert`, and then refuses who is not authorized if `rejectUnauthorized`; a
 * client never refuses.
 */
function createSecurePair(credentials, isServer, requestCert, rejectUnauthorized) {
  return new SecurePair(credentials, isServer, requestCert, rejectUnauthorized);
}

module.exports = { SecurePair, createSecurePair };
