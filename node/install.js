'use strict';
// Builds the binding for the node that runs this, out of what is here: a C compiler, that node's
// headers, our sources. Nothing is downloaded, and nothing is done again that is up to date.
//
//     node install.js
//
// SECUREPAIR_BUILD_DIR      the folder for what is built (build/ here unless told otherwise)
// SECUREPAIR_NODE_DIR       the folder whose include/node has this node's headers, if not beside it
// SECUREPAIR_SANITIZE       "address": with AddressSanitizer and UndefinedBehaviorSanitizer
// CC, CFLAGS, LDFLAGS       the C compiler, and options for it after ours
//
// Ends with 3 when this machine lacks something, with 1 when the build fails.

const path = require('node:path');
const { Missing, Problem } = require('./install/problem');
const { compilerFor } = require('./install/compiler');
const { headersOfNode } = require('./install/headers');
const { findSources } = require('./install/sources');
const { build } = require('./install/build');

function checkPlatform() {
  if (process.platform !== 'linux')
    throw new Missing(`Linux is what it runs on; this is ${process.platform}`);
  if (parseInt(process.versions.node, 10) < 18)
    throw new Missing(`node 18 or newer is what it runs on; this is ${process.version}`);
}

async function main() {
  checkPlatform();
  const sanitize = process.env.SECUREPAIR_SANITIZE || '';
  const folder = path.resolve(process.env.SECUREPAIR_BUILD_DIR || path.join(__dirname, 'build'));
  const compiler = compilerFor(sanitize, headersOfNode());
  const result = await build(compiler, findSources(), folder);
  if (!result.changed) return;
  const { version } = process;
  console.log(`securepair: built ${result.binary} for node ${version} with ${compiler.name}`);
}

main().catch((error) => {
  if (!(error instanceof Problem)) throw error;
  console.error(`securepair: ${error.message}`);
  process.exitCode = error.status;
});
