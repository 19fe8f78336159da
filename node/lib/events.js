'use strict';
// What C tells: the functions that binding.start gets. `this` is the native object concerned, and
// its `owner` is ours.

const net = require('node:net');
const { markAsUntransferable } = require('node:worker_threads');
const binding = require('./binding');
const hooks = require('./hooks');
const { endNativePipe } = require('./pipe');
const { STATUS, coded, fromInfo, fromStatus, systemError } = require('./errors');
const { learn, release, startReading, clientSecure, serverSecure, handshakeError,
        handshakeFailed } = require('./handshake');
const { fillOnread } = require('./onread');
const is = require('./symbols');

const noop = () => {};
const CONNECTION_RESET = -104;

// -- streams --------------------------------------------------------------------------------------

function onsecure(status) {
  const socket = this.owner;
  if (!socket || socket.destroyed) return;
  if (status < 0) handshakeFailed(socket, handshakeError(socket, this));
  else if (socket._tlsOptions.isServer) serverSecure(socket);
  else clientSecure(socket);
}

let marked;

// As with node's own pool: a program that gives its bytes to another thread must not give away
// everybody's.
function keepHere(slab) {
  markAsUntransferable(slab.buffer);
  marked = slab;
}

function ondata(slab, offset, size) {
  const socket = this.owner;
  if (slab !== marked) keepHere(slab);
  if (!socket || socket.destroyed) return;
  socket._unrefTimer();
  const bytes = slab.subarray(offset, offset + size);
  const more = socket[is.onread] ? fillOnread(socket, bytes) : socket.push(bytes);
  if (!more && this.reading) {
    this.reading = false;
    this.readStop();
  }
}

function onend(status) {
  const socket = this.owner;
  if (!socket || socket.destroyed) return;
  if (socket[is.nativePipe]) endNativePipe(socket);
  if (status < 0) {
    socket.truncated = true;
    if (socket._tlsOptions.strictEOF) return void socket.destroy(coded('ERR_TLS_TRUNCATED'));
  }
  socket.push(null);
  socket.read(0);
}

// Writes and the end are one at a time, and so is what waits for them.
function done(stream, error) {
  const socket = stream.owner;
  const callback = socket?.[is.write];
  if (!callback) return;
  socket[is.write] = null;
  if (!error) socket._unrefTimer();
  callback(error);
}

function onwrite(status) {
  done(this, status < 0 ? fromStatus(status, 'write') : null);
}

function onended(status) {
  if (status < 0) done(this, fromStatus(status, 'shutdown'));
  else if (this.transport) this.transport.finish(() => done(this, null));
  else done(this, null);
}

function onerror() {
  const socket = this.owner;
  if (!socket || socket.destroyed) return;
  socket._hadError = true;
  const info = this.error() || { status: CONNECTION_RESET };
  if (info.status === STATUS.TRUNCATED) socket.truncated = true;
  socket.destroy(fromInfo(info, !!socket._tlsOptions.isServer));
}

function onclose() {
  this.closed = true;
  const callback = this.onclosed;
  if (callback) callback();
  else this.owner?.destroy();
}

function onsession(session) {
  const socket = this.owner;
  if (!socket || socket.destroyed) return;
  if (socket.secureConnecting) socket[is.freshSession] = session;
  else socket.emit('session', session);
}

// Within a hook C takes no other call; the program may want to renegotiate again.
function onrenegotiated() {
  const socket = this.owner;
  const callbacks = socket?.[is.renegotiated];
  if (!callbacks) return;
  socket[is.renegotiated] = null;
  for (const callback of callbacks) setImmediate(callback, null);
}

function onocsp(staple) {
  this.owner?.emit('OCSPResponse', staple);
}

// -- transports of JavaScript's -------------------------------------------------------------------

function ontransportwrite(bytes) {
  return this.transport.write(bytes);
}

function ontransportread(on) {
  this.transport.want(on);
}

function ontransportend() {
  this.transport.end();
}

function ontransportclose() {
  this.transport.close();
}

// -- servers --------------------------------------------------------------------------------------

function onconnection(stream) {
  const server = this.owner;
  const socket = stream.owner || server._socketOver(stream, server);
  if (socket.destroyed) return;
  learn(socket, stream);
  release(socket);
  socket.secureConnecting = false;
  if (server.keepAlive) stream.setKeepAlive(true, server.keepAliveInitialDelay);
  if (socket.listenerCount('secure') > 0) socket.emit('secure');
  server._handOut(socket);
  if (!server.pauseOnConnect) startReading(socket);
}

function onclienterror(stream) {
  const server = this.owner;
  const socket = stream.owner || server._socketOver(stream, server);
  // The program may destroy it with the error, and need not listen for that.
  socket.on('error', noop);
  // Who it was is asked for after destroy(), too.
  socket._getpeername();
  server.emit('tlsClientError', handshakeError(socket, stream), socket);
  socket.destroy();
}

function onaccept(fd) {
  const server = this.owner;
  let raw;
  try {
    raw = new net.Socket({ fd, allowHalfOpen: server.allowHalfOpen, manualStart: true });
  } catch (error) {
    return void server.emit('drop', { error });
  }
  raw.server = raw._server = server;
  server._connections++;
  if (server.noDelay) raw.setNoDelay(true);
  server.emit('connection', raw);
}

function ondrop(status) {
  const server = this.owner;
  const { address: localAddress, port: localPort, family: localFamily } = server.address() || {};
  server.emit('drop', { localAddress, localPort, localFamily,
                        reason: status < 0 ? systemError(status, 'accept') : undefined });
}

function onserverclose() {
  this.owner._nativeClosed(this);
}

binding.start({
  onsecure, ondata, onend, onwrite, onended, onerror, onclose, onsession, onrenegotiated, onocsp,
  ontransportwrite, ontransportread, ontransportend, ontransportclose,
  onconnection, onclienterror, onaccept, ondrop, onserverclose, ...hooks,
});
