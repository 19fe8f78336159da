'use strict';
// How a TLSSocket comes to its native stream: with which context and which options.

const binding = require('./binding');
const { CLIENT, nativeContext } = require('./context');
const { fromContext } = require('./errors');
const { settings } = require('./settings');
const { startTransport } = require('./transport');
const is = require('./symbols');

const { Stream } = binding;

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
    renegotiation: options.renegotiation ?? !options.isServer,
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

module.exports = { contextOf, isCheckedInC, adoptConnected, startOver };
