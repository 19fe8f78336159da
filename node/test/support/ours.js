'use strict';
// Proof that a connection is securepair's, not node's.

const assert = require('node:assert');

const binding = require('../../lib/binding');
const ours = require('../../lib/tls');

/** The socket is of our class, and its bytes go through our C. */
function assertOurs(socket) {
  assert.ok(socket instanceof ours.TLSSocket, 'the socket is made by securepair');
  assert.ok(socket._handle instanceof binding.Stream, 'the transport is securepair\'s');
}

module.exports = { assertOurs };
