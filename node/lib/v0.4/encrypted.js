'use strict';
// The encrypted side of a pair.

const { Duplex, Stream } = require('node:stream');
const { follow } = require('./follow');

const ROOM = 64 * 1024;

// One end of a wire in memory: what is written here is read at the other end.
class Wire extends Duplex {
  constructor() {
    super({ highWaterMark: ROOM });
    this.other = null;
    this.whenRead = null; // the other end's write that waits for room here
  }

  _write(chunk, encoding, callback) {
    if (this.other.destroyed) callback();
    else if (this.other.push(chunk)) callback();
    else this.other.whenRead = callback;
  }

  _read() {
    const callback = this.whenRead;
    this.whenRead = null;
    if (callback) callback();
  }

  _final(callback) {
    if (!this.other.readableEnded && !this.other.destroyed) this.other.push(null);
    callback();
  }

  _destroy(error, callback) {
    this._read();
    if (!this.other.destroyed) this.other.lostOther();
    callback(error);
  }

  lostOther() {
    this.destroy();
  }
}

/**
 * What the program moves to and from the network: `pair.encrypted`. It closes when the cleartext
 * side did and what that left (a close_notify, an alert) was read.
 */
class EncryptedStream extends Wire {
  constructor(pair) {
    super();
    this.pair = pair;
    this.socket = null;
    this.on('pipe', (source) => follow(source, this));
  }

  lostOther() {
    this._read();
    if (this.readableLength === 0) {
      this.destroy();
      return;
    }
    if (!this._readableState.ended) this.push(null);
    this.once('end', () => this.destroy());
  }

  destroySoon() {
    this.end();
  }

  /** As pipe was then: a source that is destroyed takes its destination with it. */
  pipe(to, options) {
    return Stream.prototype.pipe.call(this, to, options);
  }

  get readyState() {
    return readyState(this);
  }
}

function readyState({ readable, writable }) {
  if (readable && writable) return 'open';
  if (readable) return 'readOnly';
  return writable ? 'writeOnly' : 'closed';
}

/** Two ends: [the one for the TLS engine, the pair's encrypted stream]. */
function wire(pair) {
  const near = new Wire();
  const far = new EncryptedStream(pair);
  near.other = far;
  far.other = near;
  return [near, far];
}

/**
 * Stands for the encrypted side of a stream whose ciphertext never comes to JavaScript: has its
 * life, its socket and its switches, but no data.
 */
class EncryptedSide extends Stream {
  constructor(cleartext) {
    super();
    this.cleartext = cleartext;
    cleartext.once('close', () => this.emit('close'));
  }

  get pair() { return this.cleartext.pair; }
  get socket() { return this.cleartext.socket; }
  get server() { return this.cleartext.server; }
  get readable() { return this.cleartext.readable; }
  get writable() { return this.cleartext.writable; }
  get readyState() { return this.cleartext.readyState; }
  get destroyed() { return this.cleartext.destroyed; }

  end() { this.cleartext.end(); }
  destroy(error) { this.cleartext.destroy(error); }
  destroySoon() { this.cleartext.destroySoon(); }
  pause() { this.cleartext.pause(); }
  resume() { this.cleartext.resume(); }
  setTimeout(...all) { this.cleartext.setTimeout(...all); }
  setNoDelay(...all) { this.cleartext.setNoDelay(...all); }
  setKeepAlive(...all) { this.cleartext.setKeepAlive(...all); }
}

module.exports = { EncryptedSide, EncryptedStream, wire };
