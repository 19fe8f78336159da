'use strict';
// What a program decides during a handshake. An exception in one of its functions fails that
// connection, and nothing else.

const binding = require('./binding');
const { coded, fromStatus, invalidType, invalidValue, need } = require('./errors');
const { wireToProtocols, bytesOf } = require('./protocols');
const { contextOf } = require('./native');

const INTERNAL_ERROR = 80;
const NO_APPLICATION_PROTOCOL = 120;

/** The tls.Server a native Stream belongs to, whatever transport it has; null: none. */
function serverOf(receiver, stream) {
  if (receiver instanceof binding.Server) return receiver.owner;
  const server = stream.owner ? stream.owner.server : stream.server?.owner;
  return server?._native ? server : null;
}

/** { SNICallback, ALPNCallback, pskCallback } of the server or of a socket without one. */
function programOf(receiver, stream) {
  return serverOf(receiver, stream)?._hooks || stream.owner._tlsOptions;
}

/** The TLSSocket of a native stream, made before its handshake is done where somebody asks. */
function socketOf(receiver, stream) {
  if (stream.owner) return stream.owner;
  const server = serverOf(receiver, stream);
  return server._socketOver(stream, server);
}

function refuse(stream, error, alert = INTERNAL_ERROR) {
  if (stream.closed || !stream.asked) return;
  stream.asked = null;
  stream.hookError = error;
  stream.refuse(alert);
  stream.proceed(-1);
}

/** Asks the program; `answer(value)` is called with what its callback got, once. */
function ask(stream, question, answer) {
  const callback = (error, value) => {
    if (stream.asked !== callback || stream.closed) return;
    if (error) return refuse(stream, error);
    try {
      answer(value);
    } catch (thrown) {
      return refuse(stream, thrown);
    }
    stream.asked = null;
    stream.proceed(0);
  };
  stream.asked = callback;
  try {
    question(callback);
  } catch (error) {
    refuse(stream, error);
  }
}

function nativeOf(receiver, stream, secureContext) {
  const server = serverOf(receiver, stream);
  return server && !stream.transport ? server._native(secureContext)
    : contextOf(stream.owner, secureContext);
}

function onservername(stream, name) {
  ask(stream, (callback) => {
    const server = serverOf(this, stream);
    const { SNICallback } = programOf(this, stream);
    if (!SNICallback) return callback(null, server._contextFor(name));
    const self = stream.owner || { server, servername: name };
    SNICallback.call(self, name, callback);
  }, (secureContext) => {
    if (!secureContext) return;
    stream.secureContext = secureContext;
    const status = stream.useContext(nativeOf(this, stream, secureContext));
    if (status < 0) throw fromStatus(status, 'handshake');
  });
}

function chosenProtocol(program, stream, servername, wire) {
  const protocols = wireToProtocols(wire).map((name) => name.toString('latin1'));
  const chosen = program.ALPNCallback.call(stream.owner, { servername, protocols });
  if (chosen === undefined || protocols.includes(chosen)) return chosen;
  throw coded('ERR_TLS_ALPN_CALLBACK_INVALID_RESULT',
    `ALPN callback returned a value (${chosen}) that did not match any of the client's offered ` +
    `protocols (${protocols.join(', ')})`, TypeError);
}

function onprotocols(stream, serverName, wire) {
  ask(stream, (callback) => {
    const chosen = chosenProtocol(programOf(this, stream), stream, serverName || '', wire);
    if (chosen === undefined) {
      return refuse(stream, coded('ERR_SSL_NO_APPLICATION_PROTOCOL',
        'The ALPNCallback chose none of the protocols'), NO_APPLICATION_PROTOCOL);
    }
    callback(null, chosen);
  }, (chosen) => stream.useProtocol(chosen));
}

function onresume(stream, id) {
  ask(stream, (callback) => {
    if (!serverOf(this, stream)?.emit('resumeSession', id, callback)) callback(null, null);
  }, (session) => {
    if (session) stream.useSession(bytesOf(session));
  });
}

function onstore(stream, id, session) {
  serverOf(this, stream)?.emit('newSession', id, session, () => {});
}

function onstaple(stream) {
  ask(stream, (callback) => {
    const server = serverOf(this, stream);
    if (!server || server.listenerCount('OCSPRequest') === 0) return callback(null, null);
    const { context } = stream.secureContext || server._sharedCreds;
    server.emit('OCSPRequest', context.getCertificate(), context.getIssuer(), callback);
  }, (response) => {
    if (response) stream.useStaple(bytesOf(response));
  });
}

function pskOf(answer, most = 512) {
  const psk = ArrayBuffer.isView(answer) ? answer : answer.psk;
  if (!ArrayBuffer.isView(psk))
    throw invalidType('psk', 'an instance of Buffer, TypedArray, or DataView', psk);
  if (psk.byteLength > most)
    throw invalidValue('psk', psk, `Pre-shared key exceeds ${most} bytes`);
  return bytesOf(psk);
}

// A key is asked for and answered at once; what goes wrong ends the connection afterwards.
function askForKey(stream, isServer, question) {
  try {
    return question();
  } catch (error) {
    stream.hookError = error;
    setImmediate(() => {
      if (isServer) stream.destroy();
      else stream.owner.destroy(error);
    });
    return null;
  }
}

function onpskserver(stream, identity) {
  return askForKey(stream, true, () => {
    const socket = socketOf(this, stream);
    const answer = programOf(this, stream).pskCallback.call(socket, socket, identity);
    return answer == null ? null : pskOf(answer);
  });
}

function onpskclient(stream, hint) {
  return askForKey(stream, false, () => {
    const answer = programOf(this, stream).pskCallback.call(stream.owner, hint);
    if (answer == null) return null;
    if (typeof answer !== 'object') throw invalidType('ret', 'of type object', answer);
    need('string', answer.identity, 'identity');
    return { identity: answer.identity, key: pskOf(answer) };
  });
}

function onkeylog(line) {
  const server = serverOf(this, this);
  if (!server) return void this.owner?.emit('keylog', line);
  const socket = socketOf(this, this);
  socket.emit('keylog', line);
  server.emit('keylog', line, socket);
}

module.exports = {
  onservername, onprotocols, onresume, onstore, onstaple, onpskserver, onpskclient, onkeylog,
};
