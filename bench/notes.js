'use strict';
// What a person has to say about a row: where the cost sits when a figure is missed, and what was
// tried. docs/performance.md has it below the row's group.

module.exports = {};
