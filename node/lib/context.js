'use strict';
// SecureContext: credentials, and the native contexts made of them when they are needed. A native
// context is immutable and has the policy of one kind of connection (certificates asked for, ALPN,
// hooks), so that credentials may have several; equal credentials share them.

const crypto = require('node:crypto');
const binding = require('./binding');
const { coded, fromContext, invalidType, invalidValue, need } = require('./errors');
const { versionRange, splitCiphers, wireToProtocols, bytesOf, OLDEST } = require('./protocols');
const { rootTrust, rootGeneration, getCACertificates } = require('./roots');
const { settings } = require('./settings');

const NO_TICKET = crypto.constants.SSL_OP_NO_TICKET;
const KEPT = 64;
const kept = new Map();

const asList = (value) => (Array.isArray(value) ? value : [value]);

/** A PEM or DER input as C takes it; throws as Node where it is neither text nor bytes. */
function material(value, name) {
  if (typeof value === 'string') return value;
  if (ArrayBuffer.isView(value)) return bytesOf(value);
  throw invalidType(name, 'of type string or an instance of Buffer, TypedArray, or DataView',
    value);
}

function materials(value, name) {
  return value ? asList(value).map((item) => material(item, name)) : undefined;
}

function keyEntry(item, passphrase) {
  const own = item?.pem !== undefined;
  const entry = { key: material(own ? item.pem : item, 'options.key') };
  const word = own && item.passphrase !== undefined ? item.passphrase : passphrase;
  if (word != null) {
    need('string', word, 'options.passphrase');
    entry.passphrase = word;
  }
  return entry;
}

function pfxEntry(item, passphrase) {
  const raw = item.buf || item;
  const entry = { pfx: typeof raw === 'string' ? Buffer.from(raw) : material(raw, 'options.pfx') };
  const word = item.passphrase || passphrase;
  if (word != null) entry.passphrase = typeof word === 'string' ? word : bytesOf(word).toString();
  return entry;
}

/** key, cert and pfx of the options; C finds out which key belongs to which certificate. */
function identitiesOf({ key, cert, pfx, passphrase }) {
  const entries = key ? asList(key).map((item) => keyEntry(item, passphrase)) : [];
  (materials(cert, 'options.cert') || []).forEach((pem, index) => {
    if (!entries[index]) entries[index] = {};
    entries[index].cert = pem;
  });
  if (pfx != null)
    for (const item of asList(pfx)) entries.push(pfxEntry(item, passphrase));
  return entries.length ? entries : undefined;
}

function refuseEngines({ clientCertEngine, privateKeyEngine, privateKeyIdentifier }) {
  if (clientCertEngine != null || privateKeyEngine != null || privateKeyIdentifier != null)
    throw coded('ERR_CRYPTO_CUSTOM_ENGINE_NOT_SUPPORTED');
}

function ticketKeysOf(keys, name = 'options.ticketKeys') {
  if (keys == null) return undefined;
  if (!ArrayBuffer.isView(keys))
    throw invalidType(name, 'an instance of Buffer, TypedArray, or DataView', keys);
  if (keys.byteLength !== 48)
    throw invalidValue(name, keys.byteLength, 'must be exactly 48 bytes');
  return Buffer.from(bytesOf(keys));
}

function groupsOf(curve = settings.DEFAULT_ECDH_CURVE || 'auto') {
  need('string', curve, 'options.ecdhCurve');
  return curve === 'auto' ? undefined : curve;
}

function timeoutOf(seconds) {
  if (seconds == null) return undefined;
  need('number', seconds, 'options.sessionTimeout');
  if (!Number.isInteger(seconds) || seconds < 0 || seconds > 0x7fffffff) {
    throw coded('ERR_OUT_OF_RANGE', 'The value of "options.sessionTimeout" is out of range. It ' +
      `must be >= 0 && <= 2147483647. Received ${seconds}`, RangeError);
  }
  return seconds;
}

function textOf(value, name) {
  if (value == null) return undefined;
  need('string', value, name);
  return value;
}

/** The part of a native context's options that is not policy. */
function credentialOptions(options) {
  refuseEngines(options);
  const [minVersion, maxVersion] = versionRange(options);
  const { ciphers, suites } = splitCiphers(options.ciphers);
  const onlySuites = suites && !ciphers && maxVersion > OLDEST;
  const secureOptions = options.secureOptions || 0;
  need('number', secureOptions, 'options.secureOptions');
  if (options.sigalgs === '') throw invalidValue('options.sigalgs', '');
  return {
    identities: identitiesOf(options),
    ca: materials(options.ca, 'options.ca'),
    crl: options.crl == null ? undefined : materials(options.crl, 'options.crl'),
    ciphers, suites, maxVersion,
    minVersion: onlySuites ? maxVersion : minVersion,
    groups: groupsOf(options.ecdhCurve),
    sigalgs: textOf(options.sigalgs, 'options.sigalgs'),
    preferServerCiphers: options.honorCipherOrder == null ? undefined : !!options.honorCipherOrder,
    partialChain: options.allowPartialTrustChain ? true : undefined,
    commonName: true,
    tickets: secureOptions & NO_TICKET ? false : undefined,
    ticketKeys: ticketKeysOf(options.ticketKeys),
    sessionTimeout: timeoutOf(options.sessionTimeout),
    sessionIdContext: textOf(options.sessionIdContext, 'options.sessionIdContext'),
    dhparam: options.dhparam == null ? undefined
      : material(options.dhparam, 'options.dhparam').toString(),
    opensslOptions: secureOptions,
    renegotiationLimit: settings.CLIENT_RENEG_LIMIT,
    renegotiationWindow: settings.CLIENT_RENEG_WINDOW,
  };
}

function digest(value, hash = crypto.createHash('sha256'), outermost = true) {
  if (Array.isArray(value)) {
    hash.update(`[${value.length}`);
    for (const item of value) digest(item, hash, false);
  } else if (ArrayBuffer.isView(value)) {
    hash.update(`b${value.length}:`).update(value);
  } else if (value && typeof value === 'object') {
    digest(Object.entries(value), hash, false);
  } else {
    hash.update(`${typeof value}${String(value).length}:${value}`);
  }
  return outermost ? hash.digest('latin1') : undefined;
}

/** What credentials are for: a client's are asked for nothing here, a server's by its policy. */
const CLIENT = { requestCert: false, rejectUnauthorized: true, trusting: true, alpn: null,
                 renegotiation: true, hooks: 0 };
const CHECKED = { ...CLIENT, trusting: false };

function policyKey({ requestCert, rejectUnauthorized, trusting, alpn, renegotiation, hooks }) {
  const trust = trusting ? rootGeneration() : 0;
  return `${requestCert ? 1 : 0}${rejectUnauthorized ? 1 : 0}${renegotiation ? 1 : 0}:${trust}:${hooks}:` +
    (alpn ? alpn.latin1Slice() : '');
}

/** Options of contexts, with the native ones that were made of them. */
class Credentials {
  constructor(options) {
    this.options = options;
    this.natives = new Map();
  }

  /** The native context for a policy. Throws what is wrong with the options. */
  native(policy) {
    const key = policyKey(policy);
    let context = this.natives.get(key);
    if (!context) {
      context = this.#make(policy);
      this.natives.set(key, context);
    }
    return context;
  }

  #make(policy) {
    const { requestCert, rejectUnauthorized, alpn, renegotiation, hooks } = policy;
    const options = { ...this.options, requestCert, rejectUnauthorized, hooks };
    options.renegotiation = renegotiation && options.renegotiationLimit > 0;
    if (alpn?.length) options.alpn = wireToProtocols(alpn);
    if (!options.ca) this.#trust(options, policy.trusting);
    // Whatever the policy, the tickets of these credentials are sealed by the same keys.
    if (!options.ticketKeys && this.natives.size) options.ticketKeys = this.ticketKeys();
    try {
      return new binding.Context(options);
    } catch (error) {
      throw fromContext(error);
    }
  }

  #trust(options, trusting) {
    if (!trusting) options.ca = [];
    else options.trust = rootTrust();
  }

  any() {
    return this.natives.values().next().value || this.native(CHECKED);
  }

  ticketKeys() {
    return this.options.ticketKeys || this.any().ticketKeys();
  }

  setTicketKeys(ticketKeys) {
    this.options = { ...this.options, ticketKeys };
    for (const context of this.natives.values()) context.setTicketKeys(ticketKeys);
  }
}

/** The credentials for a program's options: those of equal options made before, if there are. */
function credentialsOf(options) {
  const own = credentialOptions(options);
  const key = digest(own);
  const found = kept.get(key) || new Credentials(own);
  kept.delete(key);
  kept.set(key, found);
  if (kept.size > KEPT) kept.delete(kept.keys().next().value);
  return found;
}

/** What programs find at secureContext.context; changing it leaves other contexts alone. */
class ContextHandle {
  constructor(credentials, shared) {
    this.credentials = credentials;
    this.shared = shared;
  }

  #change(changes) {
    this.credentials = new Credentials({ ...this.credentials.options, ...changes });
    this.shared = false;
  }

  addCACert(cert) {
    const ca = this.credentials.options.ca || getCACertificates();
    this.#change({ ca: [...ca, material(cert, 'cert')] });
  }

  addRootCerts() {
    this.#change({ ca: undefined });
  }

  addCRL(crl) {
    this.#change({ crl: [...(this.credentials.options.crl || []), material(crl, 'crl')] });
  }

  getTicketKeys() {
    return this.credentials.ticketKeys();
  }

  setTicketKeys(keys) {
    const ticketKeys = ticketKeysOf(keys, 'keys');
    if (this.shared) this.#change({ ticketKeys });
    else this.credentials.setTicketKeys(ticketKeys);
  }

  getCertificate() {
    return this.credentials.any().certificate();
  }

  getIssuer() {
    return this.credentials.any().issuer();
  }

  close() {}
}

function SecureContext(secureProtocol, secureOptions, minVersion, maxVersion) {
  if (!(this instanceof SecureContext))
    return new SecureContext(secureProtocol, secureOptions, minVersion, maxVersion);
  if (secureProtocol instanceof ContextHandle) {
    this.context = secureProtocol;
  } else {
    this.context = new ContextHandle(
      credentialsOf({ secureProtocol, secureOptions, minVersion, maxVersion }), true);
  }
}

function optionsObject(options) {
  if (!options) return {};
  if (typeof options !== 'object') throw invalidType('options', 'of type object', options);
  return options;
}

/** tls.createSecureContext. Throws at once what is wrong with any of the options. */
function createSecureContext(options) {
  const context = new SecureContext(
    new ContextHandle(credentialsOf(optionsObject(options)), true));
  context.context.credentials.any();
  return context;
}

/** A SecureContext whose ticket keys may be set without changing anybody else's. */
function createOwnContext(options) {
  return new SecureContext(
    new ContextHandle(new Credentials(credentialOptions(optionsObject(options))), false));
}

/** The SecureContext that connect() makes: checked when the native one is made. */
function createClientContext(options) {
  return new SecureContext(new ContextHandle(credentialsOf(options), true));
}

/** The native context of a SecureContext (or its `.context`) for a policy. */
function nativeContext(secureContext, policy) {
  const handle = secureContext?.context || secureContext;
  if (!(handle instanceof ContextHandle)) {
    throw coded('ERR_TLS_INVALID_CONTEXT', undefined, TypeError);
  }
  return handle.credentials.native(policy);
}

module.exports = {
  SecureContext, createSecureContext, createOwnContext, createClientContext, nativeContext,
  CLIENT,
};
