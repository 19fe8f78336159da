'use strict';
// What net.Socket, node's http and old programs ask of a socket's handle, and C has no need of.

const { AsyncResource } = require('node:async_hooks');
const { Stream } = require('./binding');
const { coded } = require('./errors');

/** As of any handle of node's: `callback` comes when it is closed. */
Stream.prototype.close = function close(callback) {
  if (this.closed) {
    if (callback) setImmediate(callback);
    return;
  }
  if (callback) this.onclosed = callback;
  this.destroy();
};

Stream.prototype.getAsyncId = function getAsyncId() {
  if (this.asyncId === undefined) this.asyncId = new AsyncResource('TLSWRAP').asyncId();
  return this.asyncId;
};

/** For programs that ask the handle (`socket.ssl.verifyError()`): an Error, or null. */
Stream.prototype.verifyError = function verifyError() {
  const code = this.authorizationError();
  return code === null ? null : coded(code, this.verdict() || code);
};
