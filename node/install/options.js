'use strict';
// Prints the compiler's options for a file of the binding, for tools that want to read it.
//
//     node install/options.js

const { compilerFor } = require('./compiler');
const { headersOfNode } = require('./headers');
const { findSources } = require('./sources');

const { compile } = compilerFor('', headersOfNode());
console.log([...compile, ...findSources().includes].join(' '));
