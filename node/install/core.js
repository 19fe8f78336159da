'use strict';
// For `npm pack`: the package carries the library's C sources in core/, the repository does not.
//
//     node install/core.js bring|remove

const fs = require('node:fs');
const path = require('node:path');

const home = path.dirname(__dirname);
const repository = path.dirname(home);
const core = path.join(home, 'core');

fs.rmSync(core, { recursive: true, force: true });
if (process.argv[2] === 'bring')
  for (const name of ['src', 'include', 'LICENSE'])
    fs.cpSync(path.join(repository, name), path.join(core, name), { recursive: true });
