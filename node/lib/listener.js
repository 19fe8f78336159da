'use strict';
// A tls.Server's listening, done by a native server; what net.Server asks of its handle.

const fs = require('node:fs');
const net = require('node:net');
const binding = require('./binding');
const { listenError } = require('./errors');
const is = require('./symbols');

const DEFAULT_BACKLOG = 511;
const IPV6_ONLY = 1;
const READABLE = 1;
const WRITABLE = 2;

/** What net.Server knows as its `_handle`. */
class Listener {
  constructor(native, path) {
    this.native = native;
    this.path = path;
    // A pipe has no address but its name, which net.Server has.
    if (path) this.getsockname = undefined;
  }

  get fd() { return this.native.fd; }
  getsockname(out) { return this.native.address(out); }
  close() { this.native.close(); }
  ref() { this.native.ref(); }
  unref() { this.native.unref(); }
  hasRef() { return this.native.hasRef(); }

  // net.Server's options readableAll and writableAll.
  fchmod(mode) {
    const { mode: now } = fs.statSync(this.path);
    fs.chmodSync(this.path, now | (mode & READABLE ? 0o444 : 0) | (mode & WRITABLE ? 0o222 : 0));
    return 0;
  }
}

function nativeServer(server, backlog, ipv6Only) {
  const native = new binding.Server(server._native(), {
    handshakeTimeout: server._handshakeTimeout,
    maxConnections: server.maxConnections || 0,
    backlog: backlog || DEFAULT_BACKLOG,
    ipv6Only,
  });
  native.owner = server;
  return native;
}

function bind(native, { address, port, addressType, fd }) {
  if (typeof fd === 'number' && fd >= 0) return native.listenFd(fd);
  if (port === -1 && addressType === -1) return native.listenPath(address);
  return native.listen(address, port);
}

// Without an address: all of IPv6 and IPv4, or only IPv4 where there is no IPv6.
function candidates(where) {
  if (where.address || (typeof where.fd === 'number' && where.fd >= 0)) return [where];
  return [{ ...where, address: '::', addressType: 6 },
          { ...where, address: '0.0.0.0', addressType: 4 }];
}

/** Listens natively, and answers the Listener, or the Error. */
function listen(server, where, backlog, flags) {
  let error;
  for (const candidate of candidates(where)) {
    const native = nativeServer(server, backlog, !!(flags & IPV6_ONLY));
    const status = bind(native, candidate);
    if (status >= 0) return { native, where: candidate };
    native.close();
    error = listenError(status, candidate.address, candidate.port);
    if (error.code === 'EADDRINUSE') break;
  }
  return { error };
}

function emitListening(server) {
  if (server._handle) server.emit('listening');
}

/** net.Server's listen() in all its forms ends here. */
function listen2(address, port, addressType, backlog, fd, flags) {
  if (this._handle) {
    // Somebody else's handle: a cluster's, or one that a program made.
    return net.Server.prototype._listen2.call(this, address, port, addressType, backlog, fd, flags);
  }
  const { native, where, error } = listen(this, { address, port, addressType, fd }, backlog, flags);
  if (error) return void process.nextTick(() => this.emit('error', error));
  this[is.listener] = native;
  this._handle = new Listener(native, where.addressType === -1 ? where.address : undefined);
  this._connectionKey = `${where.addressType}:${where.address}:${where.port}`;
  this._refreshNative();
  if (this._unref) this.unref();
  process.nextTick(emitListening, this);
}

module.exports = { listen2 };
