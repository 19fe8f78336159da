'use strict';
// Each event and each hook, with each thing a program may do in it: FAULTS.md A01 in short. In a
// process of its own, because exceptions are among the things.

const assert = require('node:assert');
const path = require('node:path');
const { test } = require('node:test');
const { runFile } = require('./support/child');
const { TRANSPORTS } = require('./support/transports');

const MATRIX = path.join(__dirname, 'support', 'matrix.js');

for (const transport of TRANSPORTS) {
  test(`A01 ten callbacks, six actions in each, ${transport}`, async () => {
    const { status, signal, stdout, stderr } = await runFile(MATRIX, transport);
    assert.strictEqual(stdout, '60\n', stderr);
    assert.strictEqual(signal, null, stderr);
    assert.strictEqual(status, 0);
  });
}
