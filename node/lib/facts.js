'use strict';
// What a TLSSocket tells of its connection.

const binding = require('./binding');
const { legacy, legacyChain, x509Chain } = require('./certificates');
const { STATUS, coded, fromStatus, invalidType, need } = require('./errors');
const { bytesOf } = require('./protocols');
const { createSecureContext, SecureContext } = require('./context');
const { contextOf } = require('./native');
const { TLSSocket } = require('./socket');
const is = require('./symbols');

const { Stream } = binding;
const prototype = TLSSocket.prototype;

const nativeOf = (socket) => (socket._handle instanceof Stream ? socket._handle : null);

function define(methods) {
  for (const [name, method] of Object.entries(methods))
    Object.defineProperty(prototype, name, { value: method, writable: true, configurable: true,
                                             enumerable: true });
}

// Node's answers: null once the handle is gone.
const FORWARDED = {
  getCipher: (handle) => handle.cipher(),
  getSharedSigalgs: (handle) => handle.sharedSigalgs(),
  getFinished: (handle) => handle.finished(),
  getPeerFinished: (handle) => handle.peerFinished(),
  getProtocol: (handle) => handle.protocol() || null,
  getSession: (handle) => handle.session(),
  getTLSTicket: (handle) => handle.ticket(),
  isSessionReused: (handle) => handle.isResumed(),
};

for (const [name, ask] of Object.entries(FORWARDED)) {
  define({
    [name]() {
      const handle = nativeOf(this);
      return handle ? ask(handle) : null;
    },
  });
}

define({
  getPeerCertificate(detailed) {
    const handle = nativeOf(this);
    if (!handle) return this.destroyed ? null : {};
    const chain = handle.peerCertificates();
    if (chain.length === 0) return {};
    return detailed ? legacyChain(chain) : legacy(chain[0]);
  },

  getCertificate() {
    const handle = nativeOf(this);
    if (!handle) return this.destroyed ? null : {};
    const der = handle.ownCertificate();
    return der ? legacy(der) : {};
  },

  getPeerX509Certificate() {
    const chain = nativeOf(this)?.peerCertificates() || [];
    return chain.length > 0 ? x509Chain(chain) : undefined;
  },

  getX509Certificate() {
    const der = nativeOf(this)?.ownCertificate();
    return der ? x509Chain([der]) : undefined;
  },

  getEphemeralKeyInfo() {
    if (this._tlsOptions.isServer) return null;
    const handle = nativeOf(this);
    return handle ? handle.ephemeralKey() : null;
  },

  exportKeyingMaterial(length, label, context) {
    need('number', length, 'length');
    if (!Number.isInteger(length) || length < 1 || length > 0xffffffff) {
      throw coded('ERR_OUT_OF_RANGE', 'The value of "length" is out of range. It must be >= 1 && ' +
        `<= 4294967295. Received ${length}`, RangeError);
    }
    need('string', label, 'label');
    if (context !== undefined && !ArrayBuffer.isView(context))
      throw invalidType('context', 'an instance of Buffer, TypedArray, or DataView', context);
    if (!this._secureEstablished || !nativeOf(this)) throw coded('ERR_TLS_INVALID_STATE');
    return this._handle.exportKeyingMaterial(length, label, context && bytesOf(context));
  },

  setMaxSendFragment(size) {
    need('number', size, 'size');
    return !!nativeOf(this)?.setMaxSendFragment(size);
  },

  /** Another certificate for this connection, while its hooks are asked. */
  setKeyCert(context) {
    const handle = nativeOf(this);
    if (!handle) return;
    const secureContext = context instanceof SecureContext ? context : createSecureContext(context);
    const { server } = this;
    handle.useContext(server?._native ? server._native(secureContext)
      : contextOf(this, secureContext));
  },

  disableRenegotiation() {
    nativeOf(this)?.disableRenegotiation();
  },

  renegotiate(options, callback) {
    if (options === null || typeof options !== 'object')
      throw invalidType('options', 'of type object', options);
    if (callback !== undefined) need('function', callback, 'callback');
    if (this.destroyed) return undefined;
    const status = nativeOf(this)?.renegotiate() ?? STATUS.OPTION;
    if (status < 0) {
      const error = status === STATUS.OPTION ? coded('ERR_TLS_RENEGOTIATION_DISABLED')
        : fromStatus(status, 'renegotiate');
      if (callback) process.nextTick(callback, error);
      return false;
    }
    if (callback) (this[is.renegotiated] ??= []).push(callback);
    return true;
  },

  enableTrace() {
    process.emitWarning('securepair does not trace; a key log (event "keylog") and a capture tell ' +
      'the same', { code: 'SECUREPAIR_NO_TRACE' });
  },
});
