'use strict';
// Node's own `tls` as it was, also after a copy of this package has taken its place.

const tls = require('tls');

/** Where the object that was replaced carries what it was, and by whom. */
const MARK = Symbol.for('securepair.replaced');

function snapshot() {
  return Object.freeze(Object.defineProperties({}, Object.getOwnPropertyDescriptors(tls)));
}

module.exports = tls[MARK] ? tls[MARK].original : snapshot();
