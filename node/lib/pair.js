'use strict';
// tls.createSecurePair of before Node 24: TLS between two streams of JavaScript's.

const { EventEmitter } = require('node:events');
const { Duplex } = require('node:stream');
const { createSecureContext } = require('./context');
const { TLSSocket } = require('./socket');

// One end of a pipe in memory; what is written to it can be read at `other`.
class End extends Duplex {
  #waiting = null;

  _read() {
    const go = this.#waiting;
    this.#waiting = null;
    if (go) go();
  }

  _write(chunk, encoding, callback) {
    this.other.#take(chunk, callback);
  }

  _final(callback) {
    this.other.push(null);
    callback();
  }

  #take(chunk, callback) {
    if (this.push(chunk)) process.nextTick(callback);
    else this.#waiting = callback;
  }

  _destroy(error, callback) {
    if (!this.other.destroyed) process.nextTick(() => this.other.destroy());
    callback(error);
  }
}

function ends() {
  const [one, other] = [new End(), new End()];
  one.other = other;
  other.other = one;
  return [one, other];
}

class SecurePair extends EventEmitter {
  constructor(credentials = createSecureContext(), isServer = false, requestCert = !isServer,
    rejectUnauthorized = false, options = {}) {
    super();
    const [encrypted, inner] = ends();
    this.server = options.server;
    this.credentials = credentials;
    this.encrypted = encrypted;
    this.cleartext = new TLSSocket(inner, {
      secureContext: credentials, isServer, requestCert, rejectUnauthorized, ...options,
    });
    this.cleartext.once('secure', () => this.emit('secure'));
  }

  destroy() {
    this.cleartext.destroy();
    this.encrypted.destroy();
  }
}

/** tls.createSecurePair([context], [isServer], [requestCert], [rejectUnauthorized], [options]) */
function createSecurePair(...args) {
  return new SecurePair(...args);
}

module.exports = { createSecurePair };
