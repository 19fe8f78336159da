'use strict';
// Puts a module of ours in the place of node's `tls`: the object that everybody has already, or
// gets later, carries our functions from now on.

const { syncBuiltinESMExports } = require('node:module');

const original = require('./original');

const tls = require('tls');

// Also seen by another copy of this package in the same process.
const MARK = Symbol.for('securepair.replaced');

function isLoaded(name) {
  return process.moduleLoadList.includes(`NativeModule ${name}`);
}

// The classes that node's other modules made of tls.Server when they were loaded.
function heirs() {
  const classes = [];
  if (isLoaded('https')) classes.push(require('https').Server);
  // Node shows that one nowhere but in what it makes.
  if (isLoaded('http2')) classes.push(require('http2').createSecureServer({}).constructor);
  return classes;
}

function adopt(heir, parent) {
  Object.setPrototypeOf(heir, parent);
  Object.setPrototypeOf(heir.prototype, parent.prototype);
}

// What cannot be replaced (rootCertificates) is the same in both.
function copyProperties(from, to) {
  for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(from)))
    if (Object.getOwnPropertyDescriptor(to, name)?.configurable !== false)
      Object.defineProperty(to, name, { ...property, configurable: true });
}

/**
 * Replaces node's `tls` by `ours`; `name` is how the user asked for it. Answers node's own module
 * as it was. Done once in a process or Worker: what comes second has to be the same.
 */
function replace(ours, name) {
  const earlier = tls[MARK];
  if (earlier && earlier.name !== name)
    throw new Error(`${name}: tls is replaced already, by ${earlier.name}; a process has only one`);
  if (earlier) return original;
  const classes = heirs();
  copyProperties(ours, tls);
  Object.defineProperty(tls, MARK, { value: { name, original } });
  for (const heir of classes) adopt(heir, tls.Server);
  syncBuiltinESMExports();
  return original;
}

module.exports = { replace };
