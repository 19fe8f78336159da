'use strict';
// TLSSocket: a net.Socket whose handle is a native stream, over a descriptor of its own or over
// any Duplex.

const net = require('node:net');
const { AsyncResource } = require('node:async_hooks');
const binding = require('./binding');
const { coded, fromContext, fromInfo, fromStatus, invalidType, need, STATUS } =
  require('./errors');
const { bytesOf, convertALPNProtocols } = require('./protocols');
const { CLIENT, nativeContext } = require('./context');
const { settings } = require('./settings');
const { startTransport } = require('./transport');
const is = require('./symbols');

const { Stream } = binding;
const noop = () => {};

/**
 * tls.TLSSocket(socket, options): over any Duplex, or unconnected. Called by us with a native
 * stream and the tls.Server that accepted it.
 */
function TLSSocket(socket, options) {
  if (!(this instanceof TLSSocket)) return new TLSSocket(socket, options);
  const accepted = socket instanceof Stream;
  this._tlsOptions = accepted ? options._socketOptions : { ...options };
  this._secureEstablished = false;
  this._controlReleased = accepted;
  this.secureConnecting = true;
  this.servername = null;
  this.alpnProtocol = null;
  this.authorized = false;
  this.authorizationError = null;
  this.encrypted = true;
  this.truncated = false;
  this[is.write] = null;
  this[is.held] = null;
  if (accepted) initAccepted(this, socket, options);
  else initOpen(this, socket, this._tlsOptions);
}
Object.setPrototypeOf(TLSSocket.prototype, net.Socket.prototype);
Object.setPrototypeOf(TLSSocket, net.Socket);

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

// -- becoming native ------------------------------------------------------------------------------

function attach(socket, stream) {
  stream.owner = socket;
  stream.reading = false;
  socket._handle = stream;
  socket._sockname = null;
}

function roleOf(socket) {
  return socket._tlsOptions.isServer ? binding.SERVER : binding.CLIENT;
}

function hooksOf(socket) {
  const { HOOKS } = binding;
  const { pskCallback, isServer, SNICallback, ALPNCallback } = socket._tlsOptions;
  let hooks = pskCallback ? HOOKS.PSK : 0;
  if (socket.listenerCount('keylog') > 0) hooks |= HOOKS.KEYLOG;
  if (isServer && SNICallback) hooks |= HOOKS.SERVER_NAME;
  if (isServer && ALPNCallback) hooks |= HOOKS.ALPN;
  return hooks;
}

function policyOf(socket) {
  const options = socket._tlsOptions;
  return {
    ...CLIENT,
    requestCert: !!options.isServer && !!options.requestCert,
    rejectUnauthorized: !!options.rejectUnauthorized,
    trusting: !options.isServer || !!options.requestCert,
    alpn: options.ALPNProtocols || null,
    hooks: hooksOf(socket),
  };
}

/** The native context of a socket for its own SecureContext, or for another one. */
function contextOf(socket, secureContext) {
  const { server } = socket;
  if (socket[is.listener]) return server._nativeOver(secureContext);
  return nativeContext(secureContext || secureContextOf(socket._tlsOptions), policyOf(socket));
}

function secureContextOf(options) {
  if (!options.secureContext)
    options.secureContext = options.credentials || settings.createSecureContext(options);
  return options.secureContext;
}

// Not where the program has a function for it, or had another name asked for (setServername) than
// the one to be checked.
function isCheckedInC(socket) {
  const host = socket[is.identityHost];
  const check = socket[is.connectOptions]?.checkServerIdentity;
  if (check && check !== settings.ourCheckServerIdentity) return false;
  return !host || host === (socket._tlsOptions.servername || host);
}

function connectionOptions(socket) {
  const options = socket._tlsOptions;
  if (options.isServer) return { owner: socket, handshakeTimeout: options.handshakeTimeout || -1 };
  const serverName = options.servername || socket[is.identityHost];
  const session = socket[is.session];
  return {
    owner: socket,
    serverName,
    checkName: !!serverName && isCheckedInC(socket),
    session: session || undefined,
    handshakeTimeout: options.handshakeTimeout || -1,
    requestOCSP: !!options.requestOCSP,
  };
}

// The first 'connect' listener of a socket that connected by itself: from here the descriptor is
// a native stream's.
function adoptConnected() {
  const raw = this._handle;
  if (!raw || raw instanceof Stream) return;
  let stream;
  try {
    stream = binding.adopt(raw.fd, roleOf(this), contextOf(this), connectionOptions(this));
  } catch (error) {
    this.destroy(fromContext(error));
    return;
  }
  if (raw.hasRef && !raw.hasRef()) stream.unref();
  raw.close();
  attach(this, stream);
}

function startOver(socket) {
  if (socket.destroyed) return;
  const duplex = socket[is.raw];
  try {
    startTransport(socket, duplex, (already) => {
      const options = connectionOptions(socket);
      if (already.length) options.already = already;
      const stream = binding.over(roleOf(socket), contextOf(socket), options);
      attach(socket, stream);
      return stream;
    });
  } catch (error) {
    socket.destroy(fromContext(error));
  }
}

TLSSocket.prototype.connect = function connect(...args) {
  if (this[is.raw]) return net.Socket.prototype.connect.apply(this, args);
  this.prependOnceListener('connect', adoptConnected);
  net.Socket.prototype.connect.apply(this, args);
  // http2 looks at once whether it could take node's handle from under the socket (wrapper.js).
  if (this._handle && !(this._handle instanceof Stream)) {
    Object.defineProperty(this._handle, 'isStreamBase',
      Object.getOwnPropertyDescriptor(Stream.prototype, 'isStreamBase'));
  }
  return this;
};

// -- becoming secure ------------------------------------------------------------------------------

/** The facts that programs read as properties, once the handshake is done. */
function learn(socket, handle) {
  const { isServer, requestCert } = socket._tlsOptions;
  socket.alpnProtocol = handle.alpn();
  if (socket.servername === null) socket.servername = handle.serverName();
  // A client's peer that nobody named is not known to be the right one, as in Node.
  const named = socket[is.identityHost] || socket._tlsOptions.servername;
  if (isServer ? !requestCert : !named) return;
  const verdict = handle.authorizationError();
  socket.authorized = verdict === null;
  socket.authorizationError = verdict;
}

function release(socket) {
  socket._secureEstablished = true;
  const held = socket[is.held];
  if (!held) return;
  socket[is.held] = null;
  held.go();
}

function startReading(socket) {
  const handle = socket._handle;
  if (!handle || handle.reading) return;
  if (socket.isPaused() && !socket[is.wantsRead]) return;
  handle.reading = true;
  handle.readStart();
}

/** A client's handshake is done, and the native side found nothing to refuse. */
function clientSecure(socket) {
  const handle = socket._handle;
  learn(socket, handle);
  const refusal = refusedByProgram(socket, handle);
  if (refusal) return void socket.destroy(refusal);
  release(socket);
  socket.secureConnecting = false;
  if (socket[is.connectOptions]) socket.emit('secureConnect');
  if (!socket.destroyed) announceSession(socket);
  if (!socket.destroyed) socket.emit('secure');
  startReading(socket);
}

// minDHSize, and the name where C did not check it.
function refusedByProgram(socket, handle) {
  const options = socket[is.connectOptions];
  if (!options) return undefined;
  const { minDHSize, checkServerIdentity: check } = options;
  if (minDHSize !== undefined && handle.protocol() === 'TLSv1.2') {
    const { type, size } = handle.ephemeralKey();
    if (type === 'DH' && size < minDHSize)
      return coded('ERR_TLS_DH_PARAM_SIZE', `DH parameter size ${size} is less than 2048`);
  }
  if (isCheckedInC(socket) || socket.authorizationError) return undefined;
  return refusedIdentity(socket, check, options);
}

function refusedIdentity(socket, check, options) {
  let error;
  try {
    error = check(socket[is.identityHost], socket.getPeerCertificate(true));
  } catch (thrown) {
    socket.authorized = false;
    return thrown || coded('ERR_TLS_CERT_ALTNAME_INVALID', `checkServerIdentity threw ${thrown}`);
  }
  if (!error) return undefined;
  socket.authorized = false;
  socket.authorizationError = error.code || error.message;
  return options.rejectUnauthorized ? error : undefined;
}

// What came before the verdict is told after it.
function announceSession(socket) {
  const session = socket[is.freshSession];
  if (!session) return;
  socket[is.freshSession] = null;
  socket.emit('session', session);
}

/** A server's handshake over a Duplex is done. */
function serverSecure(socket) {
  learn(socket, socket._handle);
  release(socket);
  socket.emit('secure');
  socket.secureConnecting = false;
  const { server } = socket;
  if (!socket.destroyed && socket[is.listener]) {
    socket._releaseControl();
    server._handOut(socket);
  }
  startReading(socket);
}

/** The Error for a handshake that failed. */
function handshakeError(socket, handle) {
  if (handle.hookError) return handle.hookError;
  const isServer = !!socket._tlsOptions.isServer;
  const info = handle.error() || { status: STATUS.EARLYCLOSE, name: 'SP_EEARLYCLOSE', text: '' };
  const error = altnameError(socket, handle, info) || fromInfo(info, isServer);
  if (isServer && info.status === -110)
    return Object.assign(coded('ERR_TLS_HANDSHAKE_TIMEOUT'), { explanation: info.text });
  if (info.status === STATUS.UNAUTHORIZED) socket.authorizationError = error.code;
  const options = socket[is.connectOptions];
  if (options && info.status === STATUS.EARLYCLOSE) {
    const { path, host, port, localAddress } = options;
    Object.assign(error, { path, host, port, localAddress });
  }
  return error;
}

// Node's words for a certificate of another name come from the certificate's legacy object.
function altnameError(socket, handle, info) {
  if (info.verifyName !== 'ERR_TLS_CERT_ALTNAME_INVALID') return undefined;
  const host = socket[is.identityHost];
  const cert = socket.getPeerCertificate(true) || {};
  const { altnameInvalid } = require('./errors');
  const error = settings.ourCheckServerIdentity(host, cert) ||
    altnameInvalid(info.text, host, cert);
  error.explanation = info.text;
  return error;
}

/** A handshake failed, or its transport did. */
function handshakeFailed(socket, error) {
  if (socket.destroyed) return;
  if (socket[is.listener]) {
    // Nobody has this socket: its server is told, and no 'error' without a listener is emitted.
    if (socket.listenerCount('error') === 0) socket.on('error', noop);
    socket._hadError = true;
    const listening = socket.server.emit('tlsClientError', error, socket);
    socket.destroy(listening ? undefined : error);
    return;
  }
  socket._hadError = true;
  socket.emit('_tlsError', error);
  socket.destroy(error);
}

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

function onreadOf({ buffer, callback }) {
  const generated = typeof buffer === 'function';
  if ((!generated && !(buffer instanceof Uint8Array)) || typeof callback !== 'function') return null;
  return { next: generated ? buffer : () => buffer, callback, rest: null };
}

/** Cleartext for a program that gave its own buffer (option `onread`); false: it wants no more. */
function fillOnread(socket, bytes) {
  const onread = socket[is.onread];
  let rest = bytes;
  while (rest.length > 0 && !socket.destroyed) {
    const room = onread.next();
    const n = Math.min(rest.length, room.length);
    room.set(rest.subarray(0, n));
    rest = rest.subarray(n);
    if (onread.callback(n, room) === false) {
      onread.rest = rest.length > 0 ? Buffer.from(rest) : null;
      return false;
    }
  }
  return true;
}

function resumeOnread(socket) {
  const onread = socket[is.onread];
  const { rest } = onread;
  onread.rest = null;
  if (rest && !fillOnread(socket, rest)) return;
  socket._read();
}

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

// -- the handle -----------------------------------------------------------------------------------

Stream.prototype.close = function close(callback) {
  if (this.closed) {
    if (callback) setImmediate(callback);
    return;
  }
  if (callback) this.onclosed = callback;
  this.destroy();
};

Stream.prototype.getAsyncId = function getAsyncId() {
  if (this.asyncId === undefined) this.asyncId = new AsyncResource('TLSWRAP').asyncId();
  return this.asyncId;
};

/** For programs that ask the handle (`socket.ssl.verifyError()`): an Error, or null. */
Stream.prototype.verifyError = function verifyError() {
  const code = this.authorizationError();
  return code === null ? null : coded(code, this.verdict() || code);
};

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

module.exports = {
  TLSSocket, learn, release, startReading, clientSecure, serverSecure, handshakeError,
  handshakeFailed, fillOnread, secureContextOf, contextOf,
};
