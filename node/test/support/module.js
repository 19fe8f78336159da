'use strict';
// The module under test. SECUREPAIR_TEST_BUILTIN=1 puts Node's own in its place, to see whether a
// test asks for what Node does.

const path = require('node:path');

const builtin = process.env.SECUREPAIR_TEST_BUILTIN === '1';
const file = builtin ? 'node:tls' : path.join(__dirname, '..', '..', 'lib', 'tls.js');

/** `file` is for programs of their own process. */
module.exports = { tls: require(file), file, builtin };
