'use strict';
// The two sides of one TLS connection.

const { EventEmitter } = require('node:events');
const { Connection } = require('./connection');

/** Emits `secure` and `close` as its cleartext stream does; `ssl`, or `_ssl`, is the connection. */
class StreamPair extends EventEmitter {
  /** To be called once, before anything happened. */
  attach(cleartext, encrypted) {
    this.cleartext = cleartext;
    this.encrypted = encrypted;
    this.ssl = new Connection(cleartext);
    this._ssl = this.ssl;
    cleartext.once('secure', () => this.emit('secure'));
    cleartext.once('close', () => this.emit('close'));
    return this;
  }

  /** Closes both sides at once; what they hold is lost. */
  destroy() {
    this.cleartext.destroy();
    this.encrypted.destroy();
  }
}

module.exports = { StreamPair };
