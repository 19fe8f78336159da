'use strict';
// require('securepair/v0.4'): the tls module as it was in Node v0.4, the one of the seed text.

require('./tls'); // what today's module sets up serves this one, too
const { connect } = require('./v0.4/connect');
const { createCredentials } = require('./v0.4/credentials');
const { createSecurePair } = require('./v0.4/pair');
const { Server, createServer } = require('./v0.4/server');

module.exports = { connect, createServer, Server, createSecurePair, createCredentials };
