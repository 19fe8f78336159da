'use strict';
// Everything that require('tls') has, from securepair.

const { settings, expose } = require('./settings');
const { SecureContext, createSecureContext } = require('./context');
const { checkServerIdentity } = require('./identity');
const { convertALPNProtocols } = require('./protocols');
const roots = require('./roots');
// The same OpenSSL, so the same ciphers. Node's own module even after `register`.
const { getCiphers } = require('tls');

// Programs put their own in the place of these two; connections ask what is there then.
settings.createSecureContext = createSecureContext;
settings.checkServerIdentity = settings.ourCheckServerIdentity = checkServerIdentity;

const { TLSSocket } = require('./socket');
require('./facts');
require('./events');
require('./wrapper');
const { Server, createServer } = require('./server');
const { connect } = require('./connect');
const { createSecurePair } = require('./pair');

const exported = module.exports = {
  convertALPNProtocols, getCiphers, SecureContext, TLSSocket, Server,
  createServer, connect, createSecurePair,
  getCACertificates: roots.getCACertificates,
  setDefaultCACertificates: roots.setDefaultCACertificates,
};

for (const name of ['CLIENT_RENEG_LIMIT', 'CLIENT_RENEG_WINDOW', 'DEFAULT_CIPHERS',
                    'DEFAULT_ECDH_CURVE', 'DEFAULT_MIN_VERSION', 'DEFAULT_MAX_VERSION',
                    'checkServerIdentity', 'createSecureContext'])
  expose(exported, name);

Object.defineProperty(exported, 'rootCertificates', {
  enumerable: true,
  get: () => roots.rootCertificates,
});
