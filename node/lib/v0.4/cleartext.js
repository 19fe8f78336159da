'use strict';
// The cleartext stream of v0.4, on today's TLSSocket.

const { TLSSocket } = require('../socket');
const { EncryptedSide } = require('./encrypted');
const { follow } = require('./follow');
const { StreamPair } = require('./stream-pair');
const { watch } = require('./trust');

const PENDING = 128 * 1024; // bytes from which on write() answers false

const kPair = Symbol('pair');
const kSocket = Symbol('socket');
const kEncrypted = Symbol('encrypted');
const kIsNews = Symbol('is an error news');
const kAuthorized = Symbol('authorized');
const kWhy = Symbol('why not authorized');
const kLooked = Symbol('looked');

/**
 * A TLSSocket, made like one, that is as v0.4's cleartext streams were: it flows from the start,
 * knows no half-close, and has `socket`, `encrypted` and `pair`. Made by connect, Server and
 * SecurePair, which gives itself as `pair`.
 */
function CleartextStream(socket, options, pair = null) {
  this[kPair] = pair;
  this[kSocket] = pair ? null : this;
  this[kEncrypted] = pair ? pair.encrypted : null;
  this[kIsNews] = null;
  this[kAuthorized] = false;
  this[kWhy] = undefined;
  this[kLooked] = false;
  TLSSocket.call(this, socket, options);
  this.allowHalfOpen = false;
  this._writableState.highWaterMark = PENDING;
  if (pair) takePart(this, options.isServer);
  this.resume();
}
Object.setPrototypeOf(CleartextStream.prototype, TLSSocket.prototype);
Object.setPrototypeOf(CleartextStream, TLSSocket);

const proto = CleartextStream.prototype;

function property(name, get, set) {
  Object.defineProperty(proto, name, { configurable: true, get, set });
}

// -- who the peer is -----------------------------------------------------------------------------

/** Whether the peer's certificate was asked for, came, and passed every check. */
property('authorized', function () {
  this[kLooked] = true;
  return this[kAuthorized];
}, function (value) {
  this[kAuthorized] = value;
});

/** Why not: "CERT_HAS_EXPIRED" and so on; a property of streams only that are not authorized. */
const BLAME = {
  configurable: true,
  enumerable: true,
  get() {
    this[kLooked] = true;
    return this[kWhy];
  },
  set(why) {
    this[kWhy] = why;
  },
};

property('authorizationError', function () {
  return undefined;
}, function (why) {
  if (why) blame(this, why);
});

function blame(stream, why) {
  stream[kWhy] = why;
  Object.defineProperty(stream, 'authorizationError', BLAME);
  watch(stream);
}

/** For those who warn: has the program looked at the verdict, and what is it. */
proto._verdict = function () {
  return { looked: this[kLooked], why: this[kWhy] };
};

// One side of a SecurePair.
function takePart(stream, isServer) {
  const own = stream.listenerCount('error');
  stream[kIsNews] = () => !isServer && stream.listenerCount('error') > own;
  stream.once('secure', settle);
}

// Its program gets the errors from here on.
function settle() {
  this[kIsNews] = null;
  this._releaseControl();
  this[kAuthorized] = this._handle.isAuthorized();
  const why = this._handle.authorizationError();
  if (why) blame(this, why);
}

const FIELDS = ['subject', 'issuer', 'subjectaltname', 'valid_from', 'valid_to', 'fingerprint',
                'ext_key_usage'];

/** The peer's certificate in v0.4's fields; {} when it has none. */
proto.getPeerCertificate = function () {
  const found = TLSSocket.prototype.getPeerCertificate.call(this) || {};
  const certificate = {};
  for (const name of FIELDS) {
    const value = found[name];
    if (value === undefined) continue;
    certificate[name] = name === 'subject' || name === 'issuer' ? { ...value } : value;
  }
  return certificate;
};

/** { name, version } of the cipher, by OpenSSL's names; null before there is one. */
proto.getCipher = function () {
  const { name, version } = TLSSocket.prototype.getCipher.call(this) || {};
  return name ? { name, version } : null;
};

// -- what belongs to it --------------------------------------------------------------------------

/** What carries it: itself, a net.Socket; with a SecurePair what the program puts there. */
property('socket', function () {
  return this[kSocket];
}, function (socket) {
  this[kSocket] = socket;
});

/** The encrypted side. */
property('encrypted', function () {
  if (!this[kEncrypted]) this[kEncrypted] = new EncryptedSide(this);
  return this[kEncrypted];
}, function (value) {
  if (value !== true) this[kEncrypted] = value; // today's sockets say true
});

/** The pair whose side it is. */
property('pair', function () {
  if (!this[kPair]) this[kPair] = new StreamPair().attach(this, this.encrypted);
  return this[kPair];
}, function (pair) {
  this[kPair] = pair;
});

// -- switches of the socket ----------------------------------------------------------------------

for (const name of ['setNoDelay', 'setKeepAlive']) {
  proto[name] = function (...all) {
    const { socket } = this;
    if (socket === this) return TLSSocket.prototype[name].apply(this, all);
    if (socket) socket[name](...all);
    return this;
  };
}

// -- flow ----------------------------------------------------------------------------------------

/** As pipe was then: a stream that pauses stays paused, and one that is destroyed takes its
 * destination with it. */
proto.pipe = function (to, options) {
  const paused = this.isPaused();
  TLSSocket.prototype.pipe.call(this, to, options);
  if (paused) this.pause();
  if (to !== this && !to._isStdio && options?.end !== false) follow(this, to);
  return to;
};

/** As end was then: ignored when it has ended, by whichever side, whatever it is to send. */
proto.end = function (...all) {
  const isAsked = typeof all[all.length - 1] === 'function'; // today's, which gets an answer
  if ((this.writableEnded || this.destroyed) && !isAsked) return this;
  return TLSSocket.prototype.end.apply(this, all);
};

// -- errors --------------------------------------------------------------------------------------

// v0.4 told nothing of a pair's handshake that failed; a client's program may ask for it.
proto._destroy = function (error, callback) {
  const news = !this[kIsNews] || this[kIsNews]();
  TLSSocket.prototype._destroy.call(this, news ? error : null, callback);
};

module.exports = { CleartextStream };
