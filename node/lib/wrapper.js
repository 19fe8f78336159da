'use strict';
// Node's http2 wants a handle of node's own under its socket. Around any other socket it puts a
// wrapper (a JSStreamSocket) that moves the bytes and knows nothing of TLS. Here that wrapper learns
// to ask our socket inside of it, so that `request.socket` tells who the client is.

const net = require('node:net');
const { Duplex } = require('node:stream');
const binding = require('./binding');
const original = require('./original');
const { TLSSocket } = require('./socket');

const FACTS = ['alpnProtocol', 'authorizationError', 'authorized', 'encrypted', 'servername',
               'truncated'];
const OF_EVERY_SOCKET = ['_getpeername', '_getsockname', 'ref', 'setKeepAlive', 'setNoDelay',
                         'unref'];
const WAITS = Symbol('securepair.waits');

let taught = false;

const isOurs = (wrapper) => wrapper.stream instanceof TLSSocket;

// Node hides the class, but shows what it makes: a TLSSocket of its own over a Duplex has one.
function findWrapper() {
  const duplex = new Duplex({ read() {}, write(chunk, encoding, callback) { callback(); } });
  const secureContext = original.createSecureContext({ ca: [] });
  const socket = new original.TLSSocket(duplex, { secureContext });
  socket.on('error', () => {});
  const wrapper = socket._handle._parentWrap;
  socket.destroy();
  return wrapper?.stream === duplex ? wrapper.constructor : null;
}

function passOn(prototype, name) {
  const own = prototype[name];
  prototype[name] = function passedOn(...args) {
    if (isOurs(this)) return this.stream[name](...args);
    return own?.apply(this, args);
  };
}

function passOnFact(prototype, name) {
  Object.defineProperty(prototype, name, {
    configurable: true,
    get() { return isOurs(this) ? this.stream[name] : undefined; },
    set(value) {
      Object.defineProperty(this, name, { value, configurable: true, enumerable: true,
                                          writable: true });
    },
  });
}

// A client's session asks this first, and then waits for the wrapper's 'connect'.
function isConnecting() {
  if (!isOurs(this) || !this.stream.secureConnecting) return false;
  if (!this[WAITS]) this.stream.once('secureConnect', () => this.emit('connect'));
  this[WAITS] = true;
  return true;
}

function teach({ prototype }) {
  const methods = Object.getOwnPropertyNames(TLSSocket.prototype)
    .filter((name) => !name.startsWith('_') && !(name in net.Socket.prototype))
    .filter((name) => typeof Object.getOwnPropertyDescriptor(TLSSocket.prototype, name).value ===
                      'function');
  for (const name of [...methods, ...OF_EVERY_SOCKET]) passOn(prototype, name);
  for (const name of FACTS) passOnFact(prototype, name);
  Object.defineProperty(prototype, 'secureConnecting', { configurable: true, get: isConnecting });
}

// What http2 asks before it wraps: no handle of ours is node's.
Object.defineProperty(binding.Stream.prototype, 'isStreamBase', {
  configurable: true,
  get() {
    if (!taught) {
      const Wrapper = findWrapper();
      if (Wrapper) teach(Wrapper);
    }
    taught = true;
    return false;
  },
});
