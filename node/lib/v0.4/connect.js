'use strict';
// tls.connect of v0.4.

const today = require('../connect');
const { CleartextStream } = require('./cleartext');
const { details } = require('./credentials');

const anyName = () => undefined;

/** What stands in the places of [host], [options] and [callback], any of which may be left out. */
function sort(args) {
  const found = { options: {} };
  for (const arg of args) {
    if (typeof arg === 'string') found.host = arg;
    else if (typeof arg === 'function') found.callback = arg;
    else if (arg !== null && typeof arg === 'object') found.options = arg;
  }
  return found;
}

function isPath(port) {
  return typeof port === 'string' && !/^\d+$/.test(port);
}

function whereTo(port, host) {
  return isPath(port) ? { path: port } : { port, host, autoSelectFamily: true };
}

/**
 * Connects to `port` of `host` (localhost), or to a Unix socket's path in place of the port, and
 * answers the cleartext stream at once. Options: `key`, `cert`, `ca`, `crl`, `passphrase`,
 * `secureProtocol`, `ciphers` as createCredentials has them; `servername`, the name to ask for and
 * to check in place of `host`; `checkServerIdentity: false`, to check no name, as v0.4 did.
 *
 * The callback is called without arguments after the handshake, authorized or not: look at
 * `authorized` and `authorizationError`. A connection or handshake that fails emits `error`. Throws
 * when the options cannot be used.
 *
 * connect(options, [callback]), which v0.4 did not have, is today's tls.connect, which rejects.
 */
function connect(port, ...rest) {
  if (port !== null && typeof port === 'object') return today.connect(port, ...rest);
  const { host = 'localhost', options, callback } = sort(rest);
  const given = { ...details(options), ...whereTo(port, host), rejectUnauthorized: false };
  if (given.checkServerIdentity === false) given.checkServerIdentity = anyName;
  return today.open(CleartextStream, given, callback);
}

module.exports = { connect };
