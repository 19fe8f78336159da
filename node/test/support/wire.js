'use strict';
// A transport of the program's own: a Duplex that moves the bytes of a net.Socket.

const { Duplex } = require('node:stream');

/**
 * `raw` is the socket below. `options.allowHalfOpen` as for any Duplex; with `options.keepOpen` the
 * end of the writable side does not become the socket's. `firstRead` and `firstWritten` are the
 * first bytes of each direction.
 */
class Wire extends Duplex {
  constructor(raw, { keepOpen = false, ...options } = {}) {
    super(options);
    this.raw = raw;
    this.keepOpen = keepOpen;
    this.firstRead = this.firstWritten = null;
    raw.on('data', (data) => {
      this.firstRead ||= data;
      if (!this.push(data)) raw.pause();
    });
    raw.on('end', () => this.push(null));
    raw.on('error', (error) => this.destroy(error));
    raw.on('close', () => this.destroy());
  }

  _read() {
    this.raw.resume();
  }

  _write(chunk, encoding, callback) {
    this.firstWritten ||= Buffer.from(chunk);
    this.raw.write(chunk, callback);
  }

  _final(callback) {
    if (this.keepOpen) callback();
    else this.raw.end(callback);
  }

  _destroy(error, callback) {
    this.raw.destroy();
    callback(error);
  }
}

module.exports = { Wire };
