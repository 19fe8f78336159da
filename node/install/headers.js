'use strict';
// The headers of the node that runs this: node_api.h, and OpenSSL's and libuv's as it has them.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { Missing } = require('./problem');

const SYSTEM = ['/usr/include', '/usr/local/include'];
const variables = process.config.variables;

// Where we are told, beside the binary, then where packages put them. npm's --nodedir is node-gyp's,
// and so is what that downloaded for another package: as good.
function candidates() {
  const given = process.env.SECUREPAIR_NODE_DIR || process.env.npm_config_nodedir;
  const prefixes = [given, path.dirname(path.dirname(fs.realpathSync(process.execPath))),
                    path.dirname(path.dirname(process.execPath)), variables.node_prefix,
                    '/usr', '/usr/local',
                    path.join(os.homedir(), '.cache/node-gyp', process.versions.node)];
  const folders = prefixes.filter(Boolean).map((prefix) => path.join(prefix, 'include/node'));
  return [...new Set(folders)].filter((folder) => fs.existsSync(path.join(folder, 'node_api.h')));
}

// "20.20.2", as node_version.h has it.
function versionOf(folder) {
  const text = fs.readFileSync(path.join(folder, 'node_version.h'), 'utf8');
  const number = (part) => text.match(new RegExp(`^#define NODE_${part}_VERSION (\\d+)`, 'm'))?.[1];
  return ['MAJOR', 'MINOR', 'PATCH'].map(number).join('.');
}

// Within a minor version node keeps to one version of OpenSSL and libuv, but for their fixes.
function isForThisNode(version) {
  const upToMinor = (text) => text.split('.', 2).join('.');
  return upToMinor(version) === upToMinor(process.versions.node);
}

function missing(found) {
  const others = found.map((folder) => `${folder} is of ${versionOf(folder)}`);
  const but = others.length > 0 ? ` (${others.join(', ')})` : '';
  return new Missing(`the headers of node ${process.versions.node} are missing${but}: install ` +
    'the package that has them (Debian: libnode-dev), or name the folder that has include/node ' +
    'in SECUREPAIR_NODE_DIR');
}

// What node was built with comes with its headers; what it shares with the system, with the
// system's.
function checkLibrary(folder, header, shared, what, name) {
  const places = shared ? SYSTEM : [folder, ...SYSTEM];
  if (places.some((place) => fs.existsSync(path.join(place, header)))) return;
  throw new Missing(shared
    ? `${what}'s headers are missing: install them (Debian: ${name})`
    : `${header} is missing beside node's other headers in ${folder}: install those of node's ` +
      'own distribution, whole');
}

/**
 * The compiler's options that find the headers. Throws a Missing that says what is missing and how
 * to get it.
 */
function headersOfNode() {
  const found = candidates();
  const folder = found.find((one) => isForThisNode(versionOf(one)));
  if (!folder) throw missing(found);
  const sharedTls = isTrue(variables.node_shared_openssl);
  const sharedUv = isTrue(variables.node_shared_libuv);
  checkLibrary(folder, 'openssl/ssl.h', sharedTls, 'OpenSSL', 'libssl-dev');
  checkLibrary(folder, 'uv.h', sharedUv, 'libuv', 'libuv1-dev');
  // A node that shares them with the system has to find the system's first.
  return [sharedTls || sharedUv ? '-idirafter' : '-isystem', folder];
}

const isTrue = (value) => value === true || value === 'true';

module.exports = { headersOfNode };
