'use strict';
// TLSSocket: a net.Socket whose handle is a native stream, over a descriptor of its own or over
// any Duplex.

const net = require('node:net');
const binding = require('./binding');
const { coded, fromInfo, fromStatus, invalidType, need, STATUS } = require('./errors');
const { bytesOf, convertALPNProtocols } = require('./protocols');
const { handshakeFailed } = require('./handshake');
const { adoptConnected, startOver } = require('./native');
const { onreadOf, resumeOnread } = require('./onread');
const is = require('./symbols');
require('./handle');

const { Stream } = binding;

/**
 * tls.TLSSocket(socket, options): over any Duplex, or unconnected. Called by us with a native
 * stream and the tls.Server that accepted it.
 */
function TLSSocket(socket, options) {
  if (!(this instanceof TLSSocket)) return new TLSSocket(socket, options);
  const accepted = socket instanceof Stream;
  this._tlsOptions = accepted ? options._socketOptions : { ...options };
  this._controlReleased = accepted;
  this.encrypted = true;
  begin(this);
  if (accepted) initAccepted(this, socket, options);
  else initOpen(this, socket, this._tlsOptions);
}
Object.setPrototypeOf(TLSSocket.prototype, net.Socket.prototype);
Object.setPrototypeOf(TLSSocket, net.Socket);

// What is not known, or did not happen, before a handshake.
function begin(socket) {
  socket._secureEstablished = false;
  socket.secureConnecting = true;
  socket.servername = null;
  socket.alpnProtocol = null;
  socket.authorized = false;
  socket.authorizationError = null;
  socket.truncated = false;
  socket[is.write] = null;
  socket[is.held] = null;
}

function initAccepted(socket, stream, server) {
  stream.reading = false;
  // The last three are what net.Socket sets in its copy: what is there makes no new hidden class.
  net.Socket.call(socket, {
    handle: stream,
    allowHalfOpen: server.allowHalfOpen,
    pauseOnCreate: server.pauseOnConnect,
    manualStart: true,
    emitClose: false,
    autoDestroy: true,
    decodeStrings: false,
  });
  stream.owner = socket;
  socket.server = server;
}

function initOpen(socket, duplex, options) {
  if (options.enableTrace != null && typeof options.enableTrace !== 'boolean')
    throw invalidType('options.enableTrace', 'of type boolean', options.enableTrace);
  if (options.ALPNProtocols) convertALPNProtocols(options.ALPNProtocols, options);
  net.Socket.call(socket, {
    allowHalfOpen: duplex ? duplex.allowHalfOpen : options.allowHalfOpen,
    manualStart: true,
    highWaterMark: options.highWaterMark,
    signal: options.signal,
  });
  socket.server = options.server || null;
  if (options.onread && !duplex) socket[is.onread] = onreadOf(options.onread);
  socket.on('error', socket._tlsError);
  if (duplex) initOver(socket, duplex, options);
}

function initOver(socket, duplex, options) {
  socket[is.raw] = duplex;
  if (duplex instanceof net.Socket) {
    socket._parent = duplex;
    socket.connecting = duplex.connecting || !duplex._handle;
    if (socket.connecting) duplex.once('connect', () => announceConnect(socket));
  }
  if (options.pauseOnConnect) socket.pause();
  // A tick later, so that the caller may say more first: listeners, session, server name.
  process.nextTick(startOver, socket);
}

function announceConnect(socket) {
  socket.connecting = false;
  if (!socket.destroyed) socket.emit('connect');
}

TLSSocket.prototype.connect = function connect(...args) {
  if (this[is.raw]) return net.Socket.prototype.connect.apply(this, args);
  if (this._secureEstablished) begin(this); // once more, after its close
  this.prependOnceListener('connect', adoptConnected);
  net.Socket.prototype.connect.apply(this, args);
  // http2 looks at once whether it could take node's handle from under the socket (wrapper.js).
  if (this._handle && !(this._handle instanceof Stream)) {
    Object.defineProperty(this._handle, 'isStreamBase',
      Object.getOwnPropertyDescriptor(Stream.prototype, 'isStreamBase'));
  }
  return this;
};

/** The Duplex below failed. */
TLSSocket.prototype._transportFailed = function _transportFailed(error) {
  if (this._secureEstablished) this.destroy(error);
  else handshakeFailed(this, error);
};

TLSSocket.prototype._tlsError = function _tlsError(error) {
  this.emit('_tlsError', error);
  return this._controlReleased ? error : null;
};

TLSSocket.prototype._emitTLSError = function _emitTLSError(error) {
  if (this._tlsError(error)) this.emit('error', error);
};

TLSSocket.prototype._releaseControl = function _releaseControl() {
  if (this._controlReleased) return false;
  this._controlReleased = true;
  this.removeListener('error', this._tlsError);
  return true;
};

// -- reading --------------------------------------------------------------------------------------

TLSSocket.prototype._read = function _read() {
  const handle = this._handle;
  if (!this._secureEstablished) {
    this[is.wantsRead] = true;
  } else if (handle && !handle.reading) {
    handle.reading = true;
    handle.readStart();
  }
};

TLSSocket.prototype.resume = function resume() {
  if (this[is.onread]) process.nextTick(resumeOnread, this);
  return net.Socket.prototype.resume.call(this);
};

TLSSocket.prototype.pause = function pause() {
  if (this[is.onread] && this._handle?.reading && this._secureEstablished) {
    this._handle.reading = false;
    this._handle.readStop();
  }
  return net.Socket.prototype.pause.call(this);
};

// -- writing --------------------------------------------------------------------------------------

// Until the peer is known to be the right one nothing leaves JavaScript.
function hold(socket, callback, go) {
  socket[is.held] = { callback, go };
}

function send(socket, data, vector, callback) {
  const handle = socket._handle;
  if (!handle) return void callback(coded('ERR_SOCKET_CLOSED'));
  socket._unrefTimer();
  const answer = vector ? handle.writev(data) : handle.write(data);
  if (answer === 1) callback();
  else if (answer === 0) socket[is.write] = callback;
  else callback(writeError(handle, answer));
}

function writeError(handle, status) {
  const info = handle.error();
  return info ? fromInfo(info, false, 'write') : fromStatus(status, 'write');
}

TLSSocket.prototype._write = function _write(chunk, encoding, callback) {
  const data = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk;
  if (this._secureEstablished) send(this, data, false, callback);
  else hold(this, callback, () => send(this, data, false, callback));
};

TLSSocket.prototype._writev = function _writev(chunks, callback) {
  const data = chunks.map(({ chunk, encoding }) => (
    typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk));
  if (this._secureEstablished) send(this, data, true, callback);
  else hold(this, callback, () => send(this, data, true, callback));
};

TLSSocket.prototype._final = function _final(callback) {
  if (this._secureEstablished) endHandle(this, callback);
  else hold(this, callback, () => endHandle(this, callback));
};

function endHandle(socket, callback) {
  const handle = socket._handle;
  if (!handle) return void callback();
  const status = handle.end();
  if (status < 0) callback(status === STATUS.ENDED ? null : fromStatus(status, 'shutdown'));
  else socket[is.write] = callback;
}

// -- the end --------------------------------------------------------------------------------------

TLSSocket.prototype._destroy = function _destroy(error, callback) {
  const pending = this[is.write] || this[is.held]?.callback;
  this[is.write] = this[is.held] = null;
  if (pending) process.nextTick(pending, error || coded('ERR_STREAM_DESTROYED'));
  if (!this._handle && this[is.raw]) this[is.raw].destroy();
  this[is.transport]?.abandon();
  net.Socket.prototype._destroy.call(this, error, callback);
};

// Traffic that JavaScript did not see keeps a time-out away, too: a write that is on its way, a
// pipe in C.
TLSSocket.prototype._onTimeout = function _onTimeout() {
  const handle = this._handle;
  if (handle instanceof Stream && (this[is.write] || this[is.nativePipe] || handle.pipedInto)) {
    const moved = handle.bytesRead + handle.bytesWritten - handle.writeQueueSize;
    if (moved !== this[is.queued]) {
      this[is.queued] = moved;
      this._unrefTimer();
      return;
    }
  }
  this.emit('timeout');
};

// -- the transport -----------------------------------------------------------------------------------

Object.defineProperty(TLSSocket.prototype, 'ssl', {
  configurable: true,
  get() { return this._handle instanceof Stream ? this._handle : null; },
  set(value) { Object.defineProperty(this, 'ssl', { value, writable: true, configurable: true }); },
});

TLSSocket.prototype._getpeername = function _getpeername() {
  const raw = this[is.raw];
  return raw ? raw._getpeername?.() || {} : net.Socket.prototype._getpeername.call(this);
};

TLSSocket.prototype._getsockname = function _getsockname() {
  const raw = this[is.raw];
  return raw ? raw._getsockname?.() || {} : net.Socket.prototype._getsockname.call(this);
};

for (const name of ['setNoDelay', 'setKeepAlive']) {
  TLSSocket.prototype[name] = function onTransport(...args) {
    if (this[is.raw]) this[is.raw][name]?.(...args);
    else net.Socket.prototype[name].apply(this, args);
    return this;
  };
}

for (const name of ['ref', 'unref']) {
  TLSSocket.prototype[name] = function onTransport() {
    if (this[is.raw]) this[is.raw][name]?.();
    return net.Socket.prototype[name].call(this);
  };
}

// -- what may be said before the handshake --------------------------------------------------------

TLSSocket.prototype.setServername = function setServername(name) {
  need('string', name, 'name');
  if (this._tlsOptions.isServer) throw coded('ERR_TLS_SNI_FROM_SERVER');
  this._tlsOptions.servername = name;
};

TLSSocket.prototype.setSession = function setSession(session) {
  if (session == null) return;
  this[is.session] = typeof session === 'string' ? Buffer.from(session, 'latin1')
    : bytesOf(session);
};

module.exports = { TLSSocket };
