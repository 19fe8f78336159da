'use strict';
// Versions, secureProtocol names, cipher lists and ALPN lists: Node's spellings into C's.

const { coded, invalidValue, need } = require('./errors');
const { settings, chosenCiphers } = require('./settings');

const VERSIONS = { 'TLSv1': 0x0301, 'TLSv1.1': 0x0302, 'TLSv1.2': 0x0303, 'TLSv1.3': 0x0304 };
const OLDEST = VERSIONS['TLSv1.2'];

function version(which, name) {
  if (Object.hasOwn(VERSIONS, name)) return VERSIONS[name];
  throw coded('ERR_TLS_INVALID_PROTOCOL_VERSION',
    `${JSON.stringify(name)} is not a valid ${which} TLS protocol version`, TypeError);
}

function protocolMethod(name) {
  const found = /^(TLS|SSLv23|TLSv1|TLSv1_1|TLSv1_2|SSLv2|SSLv3)(?:_(?:server|client))?_method$/
    .exec(name);
  if (!found) throw coded('ERR_TLS_INVALID_PROTOCOL_METHOD', `Unknown method: ${name}`, TypeError);
  const kind = found[1];
  if (kind === 'SSLv2' || kind === 'SSLv3')
    throw coded('ERR_TLS_INVALID_PROTOCOL_METHOD', `${kind} methods disabled`, TypeError);
  if (kind === 'TLS') return [0, VERSIONS['TLSv1.3']];
  if (kind === 'SSLv23') return [0, VERSIONS['TLSv1.2']];
  const only = VERSIONS[kind.replace('_', '.')];
  return [only, only];
}

function conflict(which, name) {
  return coded('ERR_TLS_PROTOCOL_VERSION_CONFLICT',
    `TLS protocol version ${JSON.stringify(which)} conflicts with secureProtocol ` +
    `${JSON.stringify(name)}`, TypeError);
}

/**
 * [least, most] as numbers on the wire. TLS 1.0 and 1.1 are not there: as a minimum they mean
 * TLS 1.2, a maximum below that throws.
 */
function versionRange({ minVersion, maxVersion, secureProtocol }) {
  let range;
  if (secureProtocol) {
    need('string', secureProtocol, 'options.secureProtocol');
    if (minVersion != null) throw conflict(minVersion, secureProtocol);
    if (maxVersion != null) throw conflict(maxVersion, secureProtocol);
    range = protocolMethod(secureProtocol);
  } else {
    range = [version('minimum', minVersion ?? settings.DEFAULT_MIN_VERSION),
             version('maximum', maxVersion ?? settings.DEFAULT_MAX_VERSION)];
  }
  if (range[1] < OLDEST) {
    throw coded('ERR_SSL_UNSUPPORTED_PROTOCOL',
      'securepair speaks TLS 1.2 and TLS 1.3; a maximum version below TLSv1.2 leaves nothing');
  }
  return [Math.max(range[0], OLDEST), range[1]];
}

/** { ciphers, suites }: OpenSSL has one list for TLS 1.2 and another for TLS 1.3. */
function splitCiphers(ciphers) {
  if (ciphers != null) need('string', ciphers, 'options.ciphers');
  const all = (ciphers || chosenCiphers() || '').split(':').filter((name) => name !== '');
  if (all.length === 0 && !ciphers) return {};
  const isSuite = (name) => /^!?TLS_/.test(name);
  const suites = all.filter(isSuite).join(':');
  const rest = all.filter((name) => !isSuite(name)).join(':');
  if (suites === '' && rest === '') throw invalidValue('options.ciphers', ciphers);
  return { ciphers: rest || undefined, suites: suites || undefined };
}

function bytesOf(view) {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength);
}

/** ['h2', 'http/1.1'] in wire form (RFC 7301 3.1). */
function protocolsToWire(names) {
  const parts = [];
  names.forEach((name, index) => {
    const bytes = typeof name === 'string' ? Buffer.from(name) : bytesOf(name);
    if (bytes.length > 255) {
      throw coded('ERR_OUT_OF_RANGE', `The byte length of the protocol at index ${index} exceeds ` +
        `the maximum length. It must be <= 255. Received ${bytes.length}`, RangeError);
    }
    parts.push(Buffer.from([bytes.length]), bytes);
  });
  return Buffer.concat(parts);
}

/** tls.convertALPNProtocols: leaves a list in wire form at out.ALPNProtocols. */
function convertALPNProtocols(protocols, out) {
  if (Array.isArray(protocols)) out.ALPNProtocols = protocolsToWire(protocols);
  else if (ArrayBuffer.isView(protocols)) out.ALPNProtocols = Buffer.from(bytesOf(protocols));
}

/** The names of a list in wire form, as Buffers. */
function wireToProtocols(wire) {
  const names = [];
  for (let at = 0; at < wire.length; at += 1 + wire[at])
    names.push(wire.subarray(at + 1, at + 1 + wire[at]));
  return names;
}

module.exports = {
  versionRange, splitCiphers, convertALPNProtocols, wireToProtocols, bytesOf, OLDEST,
};
