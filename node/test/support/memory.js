'use strict';
// Resident memory of this process, and how much a test may do.

const assert = require('node:assert');

const MEGABYTE = 1024 * 1024;
const full = process.env.SECUREPAIR_TEST_FULL === '1';
// ASan keeps what was freed for a while.
const sanitized = /asan/.test(process.env.LD_PRELOAD || '');

function residentMemory() {
  return process.memoryUsage.rss();
}

/** At most so many megabytes more than `before`. */
function assertGrewLittle(before, megabytes) {
  const grown = Math.round((residentMemory() - before) / MEGABYTE);
  if (!sanitized) assert.ok(grown <= megabytes, `memory grew by ${grown} MB`);
}

/** How often: shorter under the sanitizers, which slow it down tenfold and find it the first time. */
function howMany({ sanitized: few, usual, full: many = usual }) {
  if (full) return many;
  return sanitized ? few : usual;
}

module.exports = { MEGABYTE, sanitized, howMany, residentMemory, assertGrewLittle };
