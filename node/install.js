'use strict';
// Builds the binding for the node that runs this, out of what is here: a C compiler, that node's
// headers, our sources. Nothing is downloaded, and nothing is done again that is up to date.
//
//     node install.js
//
// SECUREPAIR_BUILD_DIR      the folder for what is built (build/ here unless told otherwise)
// SECUREPAIR_SANITIZE       "address": with AddressSanitizer and UndefinedBehaviorSanitizer
// CC                        the C compiler

const path = require('node:path');
const { Problem } = require('./install/problem');
const { compilerFor } = require('./install/compiler');
const { headersOfNode } = require('./install/headers');
const { findSources } = require('./install/sources');
const { build } = require('./install/build');

async function main() {
  if (process.platform !== 'linux')
    throw new Problem(`securepair runs on Linux; this is ${process.platform}.`);
  const sanitize = process.env.SECUREPAIR_SANITIZE || '';
  const folder = path.resolve(process.env.SECUREPAIR_BUILD_DIR || path.join(__dirname, 'build'));
  const compiler = compilerFor(sanitize, headersOfNode());
  const result = await build(compiler, findSources(), folder);
  if (result.changed)
    console.log(`securepair: built ${result.binary} for node ${process.version} with ${compiler.name}`);
}

main().catch((error) => {
  if (!(error instanceof Problem)) throw error;
  console.error(`securepair: ${error.message}`);
  process.exitCode = 1;
});
