'use strict';
// a.pipe(b) between two native streams runs in C. The ordinary pipe is made first, with all its
// listeners and events; on the next tick, if nothing else takes part, C moves the bytes below it.
// Whatever else comes (a listener, another pipe, a read) gives the ordinary pipe back its bytes.

const { Readable, Writable } = require('node:stream');
const binding = require('./binding');
const { TLSSocket } = require('./socket');
const is = require('./symbols');

const READS = new Set(['data', 'readable']);

function isPlain(socket) {
  return socket._handle instanceof binding.Stream && socket._secureEstablished &&
    !socket.destroyed && !socket[is.raw] && !socket[is.onread];
}

function canRead(from) {
  const { pipes, flowing, decoder } = from._readableState;
  return isPlain(from) && flowing && !decoder && pipes.length === 1 && !from[is.nativePipe] &&
    from.readableLength === 0 && !from.readableEnded && from.listenerCount('data') === 1 &&
    from.listenerCount('readable') === 0 && from.push === Readable.prototype.push &&
    from._handle.reading && !from.readableObjectMode;
}

function canWrite(to) {
  return isPlain(to) && to.writable && !to.writableCorked && to.writableLength === 0 &&
    to[is.write] === null && to.write === Writable.prototype.write &&
    to._write === TLSSocket.prototype._write;
}

function begin(from, to) {
  if (from._readableState.pipes[0] !== to || !canRead(from) || !canWrite(to)) return;
  if (from._handle.pipe(to._handle, false) < 0) return;
  from[is.nativePipe] = to;
  to._handle.pipedInto = (to._handle.pipedInto || 0) + 1;
  watch(from);
}

// While C moves the bytes, calls that ask for them come here first.
function watch(socket) {
  for (const name of ['on', 'addListener', 'prependListener']) {
    socket[name] = function listen(event, listener) {
      if (READS.has(event)) endNativePipe(this);
      return TLSSocket.prototype[name].call(this, event, listener);
    };
  }
  for (const name of ['pause', 'pipe', 'unpipe', 'setEncoding']) {
    socket[name] = function take(...args) {
      endNativePipe(this);
      return TLSSocket.prototype[name].apply(this, args);
    };
  }
  socket.read = function read(n) {
    if (n !== 0) endNativePipe(this);
    return TLSSocket.prototype.read.call(this, n);
  };
}

const WATCHED = ['on', 'addListener', 'prependListener', 'pause', 'pipe', 'unpipe', 'setEncoding',
                 'read'];

/** The bytes come through JavaScript again. */
function endNativePipe(from) {
  const to = from[is.nativePipe];
  if (!to) return;
  from[is.nativePipe] = null;
  for (const name of WATCHED) delete from[name];
  if (to._handle?.pipedInto) to._handle.pipedInto--;
  const handle = from._handle;
  if (!handle) return;
  handle.unpipe();
  handle.reading = true;
  handle.readStart();
}

TLSSocket.prototype.pipe = function pipe(to, options) {
  const result = Readable.prototype.pipe.call(this, to, options);
  if (to instanceof TLSSocket) process.nextTick(begin, this, to);
  return result;
};

module.exports = { endNativePipe };
