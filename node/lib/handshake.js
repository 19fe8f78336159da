'use strict';
// What happens to a TLSSocket when its handshake is done, or failed.

const { STATUS, altnameInvalid, coded, fromInfo } = require('./errors');
const { isCheckedInC } = require('./native');
const { settings } = require('./settings');
const is = require('./symbols');

const noop = () => {};

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

module.exports = {
  learn, release, startReading, clientSecure, serverSecure, handshakeError, handshakeFailed,
};
