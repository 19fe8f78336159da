'use strict';
// Errors with Node's codes and messages, made from what C tells of a failure.

const { inspect, getSystemErrorName, getSystemErrorMap } = require('node:util');

// What C's own numbers are called (include/securepair/error.h).
const STATUS = {
  UNAUTHORIZED: -5003,
  TRUNCATED: -5004,
  EARLYCLOSE: -5005,
  NOTTLS: -5006,
  HTTP: -5007,
  INJECTED: -5008,
  ENDED: -5010,
  REFUSED: -5012,
  RENEGOTIATION: -5014,
  OPTION: -5028,
};
const FIRST_OF_OURS = -5001;

const MESSAGES = {
  ERR_TLS_CERT_ALTNAME_FORMAT: 'Invalid subject alternative name string',
  ERR_TLS_HANDSHAKE_TIMEOUT: 'TLS handshake timeout',
  ERR_TLS_INVALID_CONTEXT: 'context must be a SecureContext',
  ERR_TLS_INVALID_STATE: 'TLS socket connection must be securely established',
  ERR_TLS_RENEGOTIATION_DISABLED: 'TLS session renegotiation disabled for this socket',
  ERR_TLS_REQUIRED_SERVER_NAME:
    '"servername" is required parameter for Server.addContext',
  ERR_TLS_SNI_FROM_SERVER: 'Cannot issue SNI from a TLS server-side socket',
  ERR_TLS_ALPN_CALLBACK_WITH_PROTOCOLS:
    "The ALPNCallback and ALPNProtocols TLS options are mutually exclusive",
  ERR_TLS_TRUNCATED: 'The peer ended the connection without a close_notify: data may be missing',
  ERR_TLS_INJECTED: 'Cleartext was sent ahead of the TLS handshake',
  ERR_MULTIPLE_CALLBACK: 'Callback called multiple times',
  ERR_CRYPTO_CUSTOM_ENGINE_NOT_SUPPORTED:
    'Custom engines not supported by this OpenSSL',
  ERR_STREAM_DESTROYED: 'Cannot call write after a stream was destroyed',
  ERR_SOCKET_CLOSED: 'Socket is closed',
};

/** An Error (or `Base`) with that code; Node's words for the code where no message is given. */
function coded(code, message = MESSAGES[code], Base = Error) {
  const error = new Base(message);
  error.code = code;
  return error;
}

function received(value) {
  if (value == null) return `${value}`;
  if (typeof value === 'function') return `function ${value.name}`;
  if (typeof value === 'object') {
    if (value.constructor?.name) return `an instance of ${value.constructor.name}`;
    return inspect(value, { depth: -1 });
  }
  const text = inspect(value, { colors: false });
  return `type ${typeof value} (${text.length > 28 ? text.slice(0, 25) + '...' : text})`;
}

function invalidType(name, expected, value) {
  const kind = name.includes('.') ? 'property' : 'argument';
  return coded('ERR_INVALID_ARG_TYPE',
    `The "${name}" ${kind} must be ${expected}. Received ${received(value)}`, TypeError);
}

function invalidValue(name, value, reason = 'is invalid') {
  const kind = name.includes('.') ? 'property' : 'argument';
  const text = inspect(value);
  return coded('ERR_INVALID_ARG_VALUE',
    `The ${kind} '${name}' ${reason}. Received ${text.length > 128 ? text.slice(0, 128) + '...'
      : text}`, TypeError);
}

function need(type, value, name) {
  if (typeof value !== type) throw invalidType(name, `of type ${type}`, value);
}

/** A system call's error, as Node words it: `read ECONNRESET`. */
function systemError(status, syscall) {
  const code = getSystemErrorName(status);
  const error = new Error(`${syscall} ${code}`);
  error.errno = status;
  error.code = code;
  error.syscall = syscall;
  return error;
}

/** The error of a listen() that failed, as Node words it. */
function listenError(status, address, port) {
  const [code, text] = getSystemErrorMap().get(status) || [`ERROR ${status}`, 'unknown error'];
  const where = port > 0 ? `${address}:${port}` : address;
  const error = new Error(`listen ${code}: ${text}${where ? ` ${where}` : ''}`);
  Object.assign(error, { code, errno: status, syscall: 'listen', address });
  if (port) error.port = port;
  return error;
}

function connectionReset(message) {
  return coded('ECONNRESET', message);
}

/** What Node says when a certificate does not name the host. */
function altnameInvalid(reason, host, cert) {
  const error = coded('ERR_TLS_CERT_ALTNAME_INVALID',
    `Hostname/IP does not match certificate's altnames: ${reason}`);
  return Object.assign(error, { reason, host, cert });
}

function earlyClose(isServer) {
  return connectionReset(isServer ? 'socket hang up' : 'Client network socket disconnected ' +
    'before secure TLS connection was established');
}

function opensslError(info) {
  const packed = info.reason.toString(16).toUpperCase().padStart(8, '0');
  const error = coded(info.code, `error:${packed}:${info.library || ''}::${info.reasonText || ''}`);
  if (info.library) error.library = info.library;
  if (info.reasonText) error.reason = info.reasonText;
  return error;
}

function wordless(info, isServer) {
  switch (info.status) {
    case STATUS.EARLYCLOSE: return earlyClose(isServer);
    case STATUS.TRUNCATED: return coded('ERR_TLS_TRUNCATED');
    case STATUS.INJECTED: return coded('ERR_TLS_INJECTED');
    case STATUS.RENEGOTIATION:
      return coded(/attack/.test(info.text) ? 'ERR_TLS_SESSION_ATTACK' : 'ERR_SSL_NO_RENEGOTIATION',
        info.text);
    case STATUS.NOTTLS: return coded('ERR_SSL_WRONG_VERSION_NUMBER', info.text);
    case STATUS.HTTP:
      return coded(isServer ? 'ERR_SSL_HTTP_REQUEST' : 'ERR_SSL_WRONG_VERSION_NUMBER', info.text);
  }
  return coded(info.name.replace(/^SP_E/, 'ERR_TLS_'), info.text);
}

/** The Error for what a native stream's error() answers; its sentence becomes `explanation`. */
function fromInfo(info, isServer = false, syscall = 'read') {
  const error = bare(info, isServer, syscall);
  if (info.text) error.explanation = info.text;
  if (info.alert >= 0) error.alert = info.alertName;
  return error;
}

const NO_CERTIFICATE = 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE';

function bare(info, isServer, syscall) {
  if (info.status === STATUS.UNAUTHORIZED && info.verifyName && info.code !== NO_CERTIFICATE)
    return coded(info.verifyName, info.verifyText || info.text);
  if (info.code && info.reason) return opensslError(info);
  if (info.status > FIRST_OF_OURS && info.status < 0)
    return systemError(info.status, /^writing /.test(info.text) ? 'write' : syscall);
  return wordless(info, isServer);
}

/** The library's sentence in the words of JavaScript's options: `key`, not `identities[0].key`. */
function inOptionsOfNode(text) {
  return text.replace(/identities\[(\d+)\]\.(\w+)/g,
    (_, index, name) => (index === '0' ? name : `${name}[${index}]`))
    .replace(/^groups:/, 'ecdhCurve:').replace(/ or (key_file|on_passphrase)\b/, '');
}

/** The Error of a native context that could not be made: the sentence says which input it was. */
function fromContext(thrown) {
  const { info } = thrown;
  if (!info) return thrown;
  const error = new Error(inOptionsOfNode(info.text || thrown.message));
  error.code = info.code || info.name.replace(/^SP_E/, 'ERR_TLS_');
  if (info.library) error.library = info.library;
  if (info.reasonText) error.reason = info.reasonText;
  return error;
}

/** The Error for a bare status. */
function fromStatus(status, syscall, isServer = false) {
  if (status > FIRST_OF_OURS) return systemError(status, syscall);
  const [name] = Object.entries(STATUS).find(([, number]) => number === status) || ['UNKNOWN'];
  return wordless({ status, name: `SP_E${name}`, text: name.toLowerCase() }, isServer);
}

module.exports = {
  STATUS, coded, invalidType, invalidValue, need, received, systemError, listenError,
  connectionReset, altnameInvalid, earlyClose, fromInfo, fromContext, fromStatus,
};
