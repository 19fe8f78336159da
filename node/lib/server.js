'use strict';
// tls.Server: a net.Server that hands out TLSSockets.

const net = require('node:net');
const { EventEmitter } = require('node:events');
const binding = require('./binding');
const { coded, invalidType, need } = require('./errors');
const { convertALPNProtocols } = require('./protocols');
const { SecureContext, createSecureContext, createOwnContext, nativeContext } =
  require('./context');
const { TLSSocket } = require('./socket');
const { listen2 } = require('./listener');
const is = require('./symbols');

const HANDSHAKE_TIMEOUT = 120000;
const { HOOKS, WANTS } = binding;

// Events whose listeners change what C asks and tells.
const HEARD = new Set(['connection', 'tlsClientError', 'drop', 'keylog', 'newSession',
                       'resumeSession', 'OCSPRequest']);

function optionsOf(options) {
  if (options == null || typeof options === 'function') return {};
  if (typeof options === 'object') return options;
  throw invalidType('options', 'an instance of Object', options);
}

function Server(options, listener) {
  if (!(this instanceof Server)) return new Server(options, listener);
  const secureConnection = typeof options === 'function' ? options : listener;
  const given = optionsOf(options);
  this[is.listener] = null;
  this._contexts = [];
  this._rawConnections = 0;
  setPolicy(this, given);
  net.Server.call(this, given, onRawConnection);
  this.setSecureContext(given);
  this.on('newListener', onNewListener);
  this.on('removeListener', onRemoveListener);
  if (secureConnection) this.on('secureConnection', secureConnection);
}
Object.setPrototypeOf(Server.prototype, net.Server.prototype);
Object.setPrototypeOf(Server, net.Server);

function checkFunction(value, name) {
  if (value) need('function', value, name);
  return value || null;
}

function setPolicy(server, options) {
  server.requestCert = options.requestCert === true;
  server.renegotiation = options.renegotiation === true;
  server.rejectUnauthorized = options.rejectUnauthorized !== false;
  server.ALPNCallback = options.ALPNCallback;
  if (options.ALPNCallback && options.ALPNProtocols)
    throw coded('ERR_TLS_ALPN_CALLBACK_WITH_PROTOCOLS', undefined, TypeError);
  if (options.ALPNProtocols) convertALPNProtocols(options.ALPNProtocols, server);
  server._handshakeTimeout = options.handshakeTimeout || HANDSHAKE_TIMEOUT;
  need('number', server._handshakeTimeout, 'options.handshakeTimeout');
  if (options.pskIdentityHint) need('string', options.pskIdentityHint, 'options.pskIdentityHint');
  server._hooks = {
    SNICallback: checkFunction(options.SNICallback, 'options.SNICallback'),
    ALPNCallback: checkFunction(options.ALPNCallback, 'options.ALPNCallback'),
    pskCallback: checkFunction(options.pskCallback, 'options.pskCallback'),
  };
  // What all its sockets have in common, as `socket._tlsOptions`.
  server._socketOptions = {
    isServer: true, server, requestCert: server.requestCert,
    rejectUnauthorized: server.rejectUnauthorized, strictEOF: options.strictEOF === true,
  };
}

// -- connections ----------------------------------------------------------------------------------

/** The listener for 'connection': raw sockets of a cluster, or any Duplex that a program emits. */
function onRawConnection(duplex) {
  const socket = this._socketOver(duplex, {
    ...this._socketOptions,
    handshakeTimeout: this._handshakeTimeout,
    pauseOnConnect: this.pauseOnConnect,
  });
  socket[is.listener] = true;
  socket.once('close', onRawClose);
}

/** The socket over `duplex`; `options` are this server for a native stream. */
Server.prototype._socketOver = function _socketOver(duplex, options) {
  return new TLSSocket(duplex, options);
};

/** Hands a secure socket to the program. */
Server.prototype._handOut = function _handOut(socket) {
  this.emit('secureConnection', socket);
};

// It went before it was secure, and not by an error that was told already.
function onRawClose(hadError) {
  if (this._controlReleased || hadError || this._hadError) return;
  this._hadError = true;
  const error = coded('ECONNRESET', 'socket hang up');
  this.server.emit('tlsClientError', error, this);
}

Object.defineProperty(Server.prototype, '_connections', {
  configurable: true,
  get() { return this._rawConnections + (this[is.listener]?.connections || 0); },
  set(count) { this._rawConnections += count - this._connections; },
});

Object.defineProperty(Server.prototype, 'maxConnections', {
  configurable: true,
  enumerable: true,
  get() { return this._maxConnections; },
  set(count) {
    this._maxConnections = count;
    this[is.listener]?.setMaxConnections(count > 0 ? Math.trunc(count) : 0);
  },
});

Server.prototype._listen2 = listen2;

Server.prototype._emitCloseIfDrained = function _emitCloseIfDrained() {
  if (this._handle || this[is.listener] || this._rawConnections > 0) return;
  process.nextTick(() => this.emit('close'));
};

/** C has let go of the listener and of its last connection. */
Server.prototype._nativeClosed = function _nativeClosed(native) {
  if (this[is.listener] !== native) return;
  this[is.listener] = null;
  this._emitCloseIfDrained();
};

// -- contexts -------------------------------------------------------------------------------------

const CREDENTIALS = [
  'pfx', 'key', 'passphrase', 'cert', 'clientCertEngine', 'ca', 'minVersion', 'maxVersion',
  'secureProtocol', 'crl', 'sigalgs', 'ciphers', 'ecdhCurve', 'dhparam', 'secureOptions',
  'privateKeyIdentifier', 'privateKeyEngine', 'sessionIdContext', 'allowPartialTrustChain',
];
// These outlive a change of the others.
const LASTING = ['sessionTimeout', 'ticketKeys'];

Server.prototype.setSecureContext = function setSecureContext(options) {
  if (options === null || typeof options !== 'object')
    throw invalidType('options', 'of type object', options);
  for (const name of CREDENTIALS) this[name] = options[name] || undefined;
  for (const name of LASTING) if (options[name]) this[name] = options[name];
  this.honorCipherOrder = options.honorCipherOrder === undefined || !!options.honorCipherOrder;
  const own = Object.fromEntries(
    [...CREDENTIALS, ...LASTING, 'honorCipherOrder'].map((name) => [name, this[name]]));
  const context = createOwnContext(own);
  nativeContext(context, this._policy());
  this._sharedCreds = context;
  this._refreshNative();
};

/** What C is to ask of a program, and to decide by itself, for this server's connections. */
Server.prototype._policy = function _policy() {
  const { SNICallback, ALPNCallback, pskCallback } = this._hooks;
  const heard = (event) => this.listenerCount(event) > 0;
  let hooks = 0;
  if (SNICallback || this._contexts.some(({ odd }) => odd)) hooks |= HOOKS.SERVER_NAME;
  if (ALPNCallback) hooks |= HOOKS.ALPN;
  if (pskCallback) hooks |= HOOKS.PSK;
  if (heard('keylog')) hooks |= HOOKS.KEYLOG;
  if (heard('resumeSession')) hooks |= HOOKS.SESSION_GET;
  if (heard('newSession')) hooks |= HOOKS.SESSION_NEW;
  if (heard('OCSPRequest')) hooks |= HOOKS.OCSP;
  return {
    requestCert: this.requestCert, rejectUnauthorized: this.rejectUnauthorized,
    trusting: this.requestCert, alpn: this.ALPNProtocols || null,
    renegotiation: this.renegotiation, hooks,
  };
};

/** The native context for this server's connections: its own, or that of another SecureContext. */
Server.prototype._native = function _native(secureContext = this._sharedCreds) {
  return nativeContext(secureContext, this._policy());
};

/** The same for connections over a Duplex: C's table of names is the native server's. */
Server.prototype._nativeOver = function _nativeOver(secureContext = this._sharedCreds) {
  const policy = this._policy();
  if (this._contexts.length > 0) policy.hooks |= HOOKS.SERVER_NAME;
  return nativeContext(secureContext, policy);
};

/** Has the native server follow what changed: contexts, listeners. */
Server.prototype._refreshNative = function _refreshNative() {
  const native = this[is.listener];
  if (!native) return;
  native.setContext(this._native());
  for (const { name, odd, context } of this._contexts)
    if (!odd) native.addContext(name, this._native(context));
  let wants = 0;
  if (this.listenerCount('connection') > 1) wants |= WANTS.ACCEPT;
  if (this.listenerCount('tlsClientError') > 0) wants |= WANTS.FAILURES;
  if (this.listenerCount('drop') > 0) wants |= WANTS.DROP;
  native.wants(wants);
};

// 'newListener' comes before the listener is there.
function onNewListener(event) {
  if (HEARD.has(event) && this[is.listener])
    process.nextTick(() => this._refreshNative());
}

function onRemoveListener(event) {
  if (HEARD.has(event)) this._refreshNative();
}

// -- server names ---------------------------------------------------------------------------------

const SIMPLE_NAME = /^(?:\*\.)?[^*]+$/;

function patternOf(name) {
  const escaped = name.replace(/[.^$+?\-\\[\]{}()|/]/g, '\\$&').replaceAll('*', '[^.]*');
  return new RegExp(`^${escaped}$`, 'i');
}

/** tls.Server.addContext: another context for names, of which '*' stands for (part of) a label. */
Server.prototype.addContext = function addContext(servername, context) {
  if (!servername) throw coded('ERR_TLS_REQUIRED_SERVER_NAME');
  need('string', servername, 'servername');
  const name = servername.replace(/\.$/, '').toLowerCase();
  const entry = {
    name, pattern: patternOf(name),
    context: context instanceof SecureContext ? context : createSecureContext(context),
  };
  // C's table has neither such names nor contexts without a certificate.
  const certified = this._native(entry.context).certificate() !== null;
  entry.odd = !certified || !SIMPLE_NAME.test(name);
  this._contexts.push(entry);
  this._refreshNative();
};

/** The context added last that fits, or undefined. */
Server.prototype._contextFor = function _contextFor(name) {
  return this._contexts.findLast(({ pattern }) => pattern.test(name))?.context;
};

// -- tickets --------------------------------------------------------------------------------------

Server.prototype.getTicketKeys = function getTicketKeys() {
  return this._native().ticketKeys();
};

Server.prototype.setTicketKeys = function setTicketKeys(keys) {
  if (!ArrayBuffer.isView(keys))
    throw invalidType('buffer', 'an instance of Buffer, TypedArray, or DataView', keys);
  if (keys.byteLength !== 48) {
    throw coded('ERR_ASSERTION', 'Session ticket keys must be a 48-byte buffer');
  }
  this._sharedCreds.context.setTicketKeys(keys);
};

// How a cluster's workers come to the same keys.
Server.prototype._getServerData = function _getServerData() {
  return { ticketKeys: this.getTicketKeys().toString('hex') };
};

Server.prototype._setServerData = function _setServerData(data) {
  this.setTicketKeys(Buffer.from(data.ticketKeys, 'hex'));
};

Server.prototype[EventEmitter.captureRejectionSymbol] = function rejected(error, event, socket) {
  if (event === 'secureConnection') socket.destroy(error);
  else net.Server.prototype[EventEmitter.captureRejectionSymbol].call(this, error, event, socket);
};

function createServer(options, listener) {
  return new Server(options, listener);
}

module.exports = { Server, createServer };
