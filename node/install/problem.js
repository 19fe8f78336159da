'use strict';

/** What stands in the way of the build, in one sentence for the person who can change it. */
class Problem extends Error {}

module.exports = { Problem };
