'use strict';
// Many connections, good and bad: memory and descriptors stay. The long form is leaks.sh.

const assert = require('node:assert');
const path = require('node:path');
const { test } = require('node:test');
const { runFile } = require('./support/child');
const { sanitized, howMany } = require('./support/memory');

const COUNT = howMany({ sanitized: 300, usual: 1500, full: 10000 });
const SLACK = 8000; // KB; a connection that stays costs more than eight

test(`${COUNT} connections leave memory and descriptors as they were`, async () => {
  const soak = path.join(__dirname, 'support', 'soak.js');
  const { status, stdout, stderr } = await runFile(soak, String(COUNT));
  assert.strictEqual(status, 0, stderr);
  const { memory, descriptors } = JSON.parse(stdout);
  assert.ok(descriptors[1] <= descriptors[0] + 1, stdout);
  if (!sanitized) assert.ok(memory[1] - memory[0] < SLACK, stdout);
});
