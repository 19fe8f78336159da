'use strict';
// node -r securepair/register-v0.4 server.js
//
// From here on `tls` is the module as it was in Node v0.4, and `crypto` has the createCredentials
// of that time. The module's value is node's own `tls`.

const crypto = require('node:crypto');
const { replace } = require('./lib/replace');

const ours = require('./lib/v0.4');

module.exports = replace(ours, 'securepair/register-v0.4');
Object.defineProperty(crypto, 'createCredentials', {
  value: ours.createCredentials,
  configurable: true,
  enumerable: true,
  writable: true,
});
