'use strict';
// What the binding is compiled from: the library's core and binding/.

const fs = require('node:fs');
const path = require('node:path');
const { Problem } = require('./problem');

const home = path.dirname(__dirname);

/** Where the core is: beside this folder in the repository, inside it in the package. */
function coreFolder() {
  const repository = path.dirname(home);
  if (fs.existsSync(path.join(repository, 'include/securepair.h')) &&
      fs.existsSync(path.join(repository, 'CMakeLists.txt')))
    return repository;
  const packed = path.join(home, 'core');
  if (fs.existsSync(path.join(packed, 'include/securepair.h'))) return packed;
  throw new Problem(`the C sources are missing in ${home}: install the package again`);
}

function filesOfC(folder) {
  return fs.readdirSync(folder).filter((name) => name.endsWith('.c')).sort()
    .map((name) => path.join(folder, name));
}

/** { files: every C file, includes: the compiler's options that find our own headers } */
function findSources() {
  const core = coreFolder();
  const layers = fs.readdirSync(path.join(core, 'src'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => path.join(core, 'src', entry.name)).sort();
  return {
    files: [...layers, path.join(home, 'binding')].flatMap(filesOfC),
    includes: ['-I', path.join(core, 'include'), '-I', path.join(core, 'src')],
  };
}

module.exports = { coreFolder, findSources };
