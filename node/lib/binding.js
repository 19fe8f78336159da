'use strict';
// Finds and loads the part in C.

const fs = require('node:fs');
const path = require('node:path');

const folder = process.env.SECUREPAIR_BUILD_DIR || path.join(__dirname, '..', 'build');
const file = path.resolve(folder, `securepair-${process.versions.modules}-${process.arch}.node`);
// npm 12 runs an installation's script only for packages that it was told to; this works with any.
const install = path.join(__dirname, '..', 'install.js');
const REMEDY = `run node "${install}" with this node (${process.version}, ${process.arch})`;

function load() {
  try {
    return require(file);
  } catch (cause) {
    const missing = !fs.existsSync(file);
    const why = missing ? `${file} is not there` : cause.message;
    const error = new Error(`securepair cannot load its part in C: ${why}; ${REMEDY}`, { cause });
    error.code = missing ? 'ERR_SECUREPAIR_NOT_BUILT' : 'ERR_SECUREPAIR_NOT_LOADED';
    throw error;
  }
}

module.exports = load();
