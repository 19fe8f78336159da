'use strict';
// TLS over any Duplex: ciphertext goes through it, with back-pressure both ways.

const net = require('node:net');
const is = require('./symbols');

/** What a Duplex had read already and nobody took. */
function drain(duplex) {
  const parts = [];
  for (let part; duplex.readableLength > 0 && (part = duplex.read()) !== null;)
    parts.push(typeof part === 'string' ? Buffer.from(part, duplex.readableEncoding) : part);
  return Buffer.concat(parts);
}

// A net.Socket belongs to TLS from here: its bytes come here before they become its 'data', as
// listeners of the protocol spoken before must not see ciphertext.
class SocketSource {
  constructor(duplex, transport) {
    this.duplex = duplex;
    this.wanted = false;
    this.original = Object.hasOwn(duplex, 'push') ? duplex.push : null;
    duplex.push = (chunk) => {
      if (chunk === null) transport.ended();
      else transport.received(chunk);
      return this.wanted;
    };
  }

  want(on) {
    this.wanted = on;
    if (on && !this.duplex.destroyed) this.duplex._read(0);
  }
}

class DuplexSource {
  constructor(duplex, transport) {
    this.duplex = duplex;
    duplex.pause();
    duplex.on('data', (chunk) => transport.received(
      typeof chunk === 'string' ? Buffer.from(chunk, duplex.readableEncoding) : chunk));
    duplex.on('end', () => transport.ended());
  }

  want(on) {
    if (on) this.duplex.resume();
    else this.duplex.pause();
  }
}

class Transport {
  constructor(socket, duplex) {
    this.socket = socket;
    this.duplex = duplex;
    this.stream = null;
    this.full = this.heardEnd = this.closing = this.gone = this.told = false;
    duplex.on('drain', () => this.room());
    duplex.on('error', (error) => this.failed(error));
    duplex.on('close', () => this.closed());
  }

  start(stream) {
    this.stream = stream;
    stream.transport = this;
    const { duplex } = this;
    this.source = duplex instanceof net.Socket ? new SocketSource(duplex, this)
      : new DuplexSource(duplex, this);
    if (duplex.destroyed) return this.closed();
    if (this.wanted !== undefined) this.source.want(this.wanted);
    if (duplex.readableEnded) this.ended();
  }

  // -- from the Duplex --

  received(bytes) {
    this.socket._unrefTimer();
    this.stream.transportReceived(bytes);
  }

  ended() {
    this.heardEnd = true;
    this.stream.transportEnded();
  }

  room() {
    if (!this.full || !this.stream) return;
    this.full = false;
    this.stream.transportRoom();
  }

  failed(error) {
    this.socket._transportFailed(error);
  }

  closed() {
    if (this.gone) return;
    this.gone = true;
    const { socket } = this;
    // What came before an end is still to be read.
    if (this.heardEnd && !socket.readableEnded) socket.once('end', () => socket.destroy());
    else socket.destroy();
    if (this.closing) this.tell();
  }

  // -- from C --

  write(bytes) {
    const { duplex } = this;
    if (duplex.destroyed || duplex.writableEnded) return true;
    this.full = !duplex.write(bytes);
    return !this.full;
  }

  want(on) {
    this.wanted = on;
    if (this.source) this.source.want(on);
  }

  end() {
    if (!this.duplex.destroyed && !this.duplex.writableEnded) this.duplex.end();
  }

  /** Ends the Duplex, and calls back once it has passed on all that it was given: a destroy()
   * before that would drop it. */
  finish(callback) {
    const { duplex } = this;
    this.end();
    if (duplex.destroyed || duplex.writableFinished) callback();
    else duplex.once('finish', callback);
  }

  /** C needs the Duplex no more. What C ended in good order may still be on its way out of it. */
  close() {
    this.closing = true;
    const { duplex } = this;
    const busy = duplex.writableEnded && !duplex.writableFinished && !duplex.destroyed;
    if (busy && !this.socket.destroyed) duplex.once('finish', () => this.letGo());
    else this.letGo();
  }

  letGo() {
    if (this.gone && this.told) return;
    const { duplex } = this;
    const announces = duplex instanceof net.Socket || duplex._readableState?.emitClose !== false;
    const silent = this.gone || (duplex.destroyed && duplex.closed) || !announces;
    duplex.destroy();
    if (silent) this.tell();
  }

  tell() {
    this.gone = this.told = true;
    this.stream.transportClosed();
  }

  /** The socket was destroyed: nothing of it is waited for. */
  abandon() {
    if (this.closing) this.letGo();
  }
}

/**
 * Puts `socket` over `duplex`. `make(already)` makes its native stream; `already` is what the
 * Duplex had read before.
 */
function startTransport(socket, duplex, make) {
  const transport = new Transport(socket, duplex);
  socket[is.transport] = transport;
  const already = drain(duplex);
  const stream = make(already);
  transport.start(stream);
}

module.exports = { startTransport };
