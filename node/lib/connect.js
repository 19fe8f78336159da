'use strict';
// tls.connect

const net = require('node:net');
const { invalidType, need } = require('./errors');
const { createClientContext, nativeContext, createSecureContext, CLIENT } = require('./context');
const { TLSSocket } = require('./socket');
const { settings } = require('./settings');
const is = require('./symbols');

let warnedOfAddress = false;
let warnedOfInsecurity = false;

/** ([port], [host], [options], [callback]) or ([path], ...) or (options, [callback]). */
function normalize(args) {
  const [given, callback] = net._normalizeArgs(args);
  const more = [args[1], args[2]].find((item) => item !== null && typeof item === 'object');
  return [more ? { ...given, ...more } : given, callback];
}

function insecureByEnvironment() {
  if (process.env.NODE_TLS_REJECT_UNAUTHORIZED !== '0') return false;
  if (!warnedOfInsecurity) {
    warnedOfInsecurity = true;
    process.emitWarning("Setting the NODE_TLS_REJECT_UNAUTHORIZED environment variable to '0' " +
      'makes TLS connections and HTTPS requests insecure by disabling certificate verification.');
  }
  return true;
}

// Only a literal false turns the check off.
function rejects(options) {
  if (!('rejectUnauthorized' in options)) return !insecureByEnvironment();
  return options.rejectUnauthorized !== false;
}

function withDefaults(given) {
  const options = { checkServerIdentity: settings.checkServerIdentity, minDHSize: 1024, ...given };
  options.rejectUnauthorized = rejects(given);
  need('function', options.checkServerIdentity, 'options.checkServerIdentity');
  need('number', options.minDHSize, 'options.minDHSize');
  if (!(options.minDHSize > 0)) {
    throw invalidType('options.minDHSize', 'a positive number', options.minDHSize);
  }
  if (options.pskCallback) need('function', options.pskCallback, 'pskCallback');
  return options;
}

// A program's own tls.createSecureContext is asked, as in Node; else contexts are shared.
function secureContextFor(options) {
  if (options.secureContext) return options.secureContext;
  if (settings.createSecureContext !== createSecureContext)
    return settings.createSecureContext(options);
  return createClientContext(options);
}

function warnOfAddress(servername) {
  if (warnedOfAddress || !net.isIP(servername)) return;
  warnedOfAddress = true;
  process.emitWarning('Setting the TLS ServerName to an IP address is not permitted by RFC 6066. ' +
    'This will be ignored in a future version.', 'DeprecationWarning', 'DEP0123');
}

function socketOptions(options, secureContext) {
  const { allowHalfOpen, rejectUnauthorized, ALPNProtocols, requestOCSP, enableTrace, pskCallback,
          highWaterMark, onread, renegotiation, signal, strictEOF, servername } = options;
  return { secureContext, isServer: false, requestCert: true, allowHalfOpen, rejectUnauthorized,
           ALPNProtocols, requestOCSP, enableTrace, pskCallback, highWaterMark, onread, signal,
           renegotiation: renegotiation !== false, servername, strictEOF: strictEOF === true };
}

// Wrong credentials throw from connect(), and not into the socket's 'error'.
function validate(socket) {
  const { secureContext, rejectUnauthorized, ALPNProtocols: alpn = null,
          renegotiation } = socket._tlsOptions;
  if (!secureContext) return;
  nativeContext(secureContext, { ...CLIENT, rejectUnauthorized, alpn, renegotiation });
}

/** Connects a new `Socket`, TLSSocket or made of it, and answers it. */
function open(Socket, given, callback) {
  const options = withDefaults(given);
  const socket = new Socket(options.socket, socketOptions(options, secureContextFor(options)));
  socket[is.connectOptions] = options;
  socket[is.identityHost] = options.servername || options.host ||
    options.socket?._host || 'localhost';
  if (options.servername) warnOfAddress(options.servername);
  if (options.session) socket.setSession(options.session);
  validate(socket);
  socket._releaseControl();
  if (callback) socket.once('secureConnect', callback);
  if (options.socket) return socket;
  if (options.timeout) socket.setTimeout(options.timeout);
  return socket.connect(options);
}

/** tls.connect([port], [host], [options], [callback]); answers the TLSSocket. */
function connect(...args) {
  const [given, callback] = normalize(args);
  return open(TLSSocket, given, callback);
}

module.exports = { connect, open };
