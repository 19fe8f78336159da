'use strict';
// What programs of the time asked of `pair.ssl`, or `pair._ssl`.

// v0.4's answer also where no certificate was asked for.
const NONE = 'UNABLE_TO_GET_ISSUER_CERT';

class Connection {
  constructor(cleartext) {
    this.cleartext = cleartext;
  }

  /** null when the peer is authorized, else the name of the reason; the program has looked then. */
  verifyError() {
    return this.cleartext.authorized ? null : this.cleartext.authorizationError || NONE;
  }

  isInitFinished() {
    return !!this.cleartext.getCipher();
  }

  getPeerCertificate() {
    return this.cleartext.getPeerCertificate();
  }

  getCurrentCipher() {
    return this.cleartext.getCipher();
  }

  getSession() {
    return this.cleartext.getSession();
  }

  isSessionReused() {
    return this.cleartext.isSessionReused();
  }
}

module.exports = { Connection };
