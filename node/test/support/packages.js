'use strict';
// Other people's packages, as `./run test` installs them into test/packages. Where they are not,
// the tests that need them are skipped.

const fs = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');

const folder = path.join(__dirname, '..', 'packages');

/** A function like `require` that finds them. */
const requirePackage = createRequire(path.join(folder, 'package.json'));

/** For the option `skip` of a test: why a package cannot be used here, or false. */
function lacks(name) {
  if (fs.existsSync(path.join(folder, 'node_modules', name, 'package.json'))) return false;
  return `${name} is not installed: npm ci in node/test/packages`;
}

module.exports = { folder, lacks, requirePackage };
