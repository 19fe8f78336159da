'use strict';
// Resident memory of this process.

const assert = require('node:assert');

const MEGABYTE = 1024 * 1024;
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

module.exports = { MEGABYTE, sanitized, residentMemory, assertGrewLittle };
