'use strict';
// tls.Server of v0.4.

const today = require('../server');
const { CleartextStream } = require('./cleartext');
const { details } = require('./credentials');

/** The seed's defaults: nobody is asked for a certificate, nobody is rejected. */
function settle(options) {
  return {
    ...details(options),
    requestCert: !!options.requestCert,
    rejectUnauthorized: !!options.rejectUnauthorized,
    allowHalfOpen: false,
  };
}

/**
 * A net.Server whose connections are encrypted; with or without `new`. Options: `key`, `cert`,
 * `ca`, `crl`, `passphrase`, `secureProtocol`, `ciphers` as createCredentials has them;
 * `requestCert`, to ask clients for a certificate; with it `rejectUnauthorized`, to refuse who
 * is not authorized. Throws when they cannot be used; without a key it listens, and no handshake
 * succeeds.
 *
 * Emits `secureConnection` (cleartext, encrypted), to which the listener is added. Of a handshake
 * that fails nothing is told.
 */
function Server(options, listener) {
  if (!(this instanceof Server)) return new Server(options, listener);
  const onSecure = typeof options === 'function' ? options : listener;
  const given = options !== null && typeof options === 'object' ? options : {};
  today.Server.call(this, settle(given));
  if (onSecure) this.on('secureConnection', onSecure);
}
Object.setPrototypeOf(Server.prototype, today.Server.prototype);
Object.setPrototypeOf(Server, today.Server);

/** tls.Server(options, listener) */
function createServer(options, listener) {
  return new Server(options, listener);
}

/** How many connections live now. */
Object.defineProperty(Server.prototype, 'connections', {
  configurable: true,
  enumerable: true,
  get() { return this._connections; },
});

/** For connections to come: credentials that are not given stay, whom to ask and to refuse not. */
Server.prototype.setOptions = function setOptions(options) {
  const { requestCert, rejectUnauthorized, ...credentials } = settle(options);
  for (const holder of [this, this._socketOptions])
    Object.assign(holder, { requestCert, rejectUnauthorized });
  this.setSecureContext({ ...this, ...credentials });
};

// Without a host: any IPv4 address.
Server.prototype._listen2 = function _listen2(address, port, type, ...rest) {
  const host = !address && type === 4 ? '0.0.0.0' : address;
  return today.Server.prototype._listen2.call(this, host, port, type, ...rest);
};

Server.prototype._socketOver = function _socketOver(duplex, options) {
  return new CleartextStream(duplex, options);
};

Server.prototype._handOut = function _handOut(cleartext) {
  this.emit('secureConnection', cleartext, cleartext.encrypted);
};

module.exports = { Server, createServer };
