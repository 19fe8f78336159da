'use strict';

/** What stands in the way of the build, in one sentence for the person who can change it. */
class Problem extends Error {
  status = 1;
}

/** This machine lacks something; the code is in order. */
class Missing extends Problem {
  status = 3;
}

module.exports = { Missing, Problem };
