'use strict';
// node -r securepair/register app.js
//
// From here on `tls` is securepair, in this process or Worker, for all who use it: the program, its
// packages, https, http2 and fetch, by require or import. The module's value is node's own `tls`.

const { replace } = require('./lib/replace');

module.exports = replace(require('./lib/tls'), 'securepair/register');
