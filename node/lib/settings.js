'use strict';
// What programs change on the module itself: tls.DEFAULT_MIN_VERSION = ..., or a function that
// they put in place of ours. Kept here, so that it counts also where another object carries the
// module's properties (register).

const { constants } = require('node:crypto');

const real = require('tls');

function flagged(flag) {
  if (process.execArgv.includes(flag)) return true;
  return ` ${process.env.NODE_OPTIONS || ''} `.includes(` ${flag} `);
}

function defaultMinVersion() {
  return flagged('--tls-min-v1.3') ? 'TLSv1.3' : 'TLSv1.2';
}

function defaultMaxVersion() {
  return flagged('--tls-max-v1.2') && !flagged('--tls-max-v1.3') ? 'TLSv1.2' : 'TLSv1.3';
}

const BUILT_IN_CIPHERS = constants.defaultCoreCipherList;

const settings = {
  DEFAULT_CIPHERS: constants.defaultCipherList || real.DEFAULT_CIPHERS,
  DEFAULT_ECDH_CURVE: 'auto',
  DEFAULT_MIN_VERSION: defaultMinVersion(),
  DEFAULT_MAX_VERSION: defaultMaxVersion(),
  CLIENT_RENEG_LIMIT: 3,
  CLIENT_RENEG_WINDOW: 600,
};

/** The ciphers that the program or node's command line chose; undefined: it did not, C decides. */
function chosenCiphers() {
  const { DEFAULT_CIPHERS: ciphers } = settings;
  return ciphers === BUILT_IN_CIPHERS ? undefined : ciphers;
}

/** Gives `target` a property that is read from and written to the settings. */
function expose(target, name) {
  Object.defineProperty(target, name, {
    configurable: true,
    enumerable: true,
    get: () => settings[name],
    set: (value) => { settings[name] = value; },
  });
}

module.exports = { settings, chosenCiphers, expose, flagged };
