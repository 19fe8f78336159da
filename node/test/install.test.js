'use strict';
// What install.js does, and what it says when something is missing.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { run, runNode, temporaryFolder } = require('./support/program');

const home = path.join(__dirname, '..');
const binary = `securepair-${process.versions.modules}-${process.arch}.node`;

// Like a user's, without what this test run is told; the compiler is to be quick.
function environment(more) {
  const env = { ...process.env, CFLAGS: '-O0 -g0 -U_FORTIFY_SOURCE', ...more };
  for (const name of ['LD_PRELOAD', 'SECUREPAIR_SANITIZE', 'SECUREPAIR_NODE_DIR', 'npm_config_nodedir'])
    delete env[name];
  return env;
}

function install(folder, more, script = 'install.js') {
  return runNode([path.join(home, script)],
    { env: environment({ SECUREPAIR_BUILD_DIR: folder, ...more }) });
}

// A tree of the binding's that may be changed.
function copyOfSources(t) {
  const copy = temporaryFolder(t);
  for (const name of ['CMakeLists.txt', 'src', 'include', 'node/install', 'node/install.js',
                      'node/binding', 'node/lib', 'node/package.json'])
    fs.cpSync(path.join(home, '..', name), path.join(copy, name), { recursive: true });
  return copy;
}

test('the version is the library\'s', () => {
  const header = fs.readFileSync(path.join(home, '..', 'include/securepair/error.h'), 'utf8');
  const number = (part) => new RegExp(`#define SP_VERSION_${part} (\\d+)`).exec(header)[1];
  assert.strictEqual(require('../package.json').version,
    ['MAJOR', 'MINOR', 'PATCH'].map(number).join('.'));
});

test('only what node looks for is visible', async (t) => {
  let symbols;
  const folder = process.env.SECUREPAIR_BUILD_DIR || path.join(home, 'build');
  try {
    symbols = await run('nm', ['-D', '--defined-only', path.join(folder, binary)]);
  } catch {
    return t.skip('nm is not here');
  }
  const names = symbols.stdout.match(/\w+$/gm);
  const known = ['napi_register_module_v1', 'node_api_module_get_api_version_v1'];
  assert.deepStrictEqual(names.filter((name) => !known.includes(name)), []);
  assert.ok(names.includes(known[0]));
});

test('neither OpenSSL nor libuv is linked', async (t) => {
  let answer;
  const folder = process.env.SECUREPAIR_BUILD_DIR || path.join(home, 'build');
  try {
    answer = await run('readelf', ['-d', path.join(folder, binary)]);
  } catch {
    return t.skip('readelf is not here');
  }
  assert.doesNotMatch(answer.stdout, /NEEDED.*(libssl|libcrypto|libuv)/);
});

test('a compiler that is none', async (t) => {
  const { status, stderr } = await install(temporaryFolder(t), { CC: '/nonexistent/cc' });
  assert.strictEqual(status, 3);
  assert.strictEqual(stderr,
    'securepair: the C compiler that CC names does not compile: /nonexistent/cc\n');
});

test('no compiler at all', async (t) => {
  const { status, stderr } = await install(temporaryFolder(t), { CC: '', PATH: '/nonexistent' });
  assert.strictEqual(status, 3);
  assert.match(stderr, /^securepair: a C compiler .* is missing: .*build-essential\)\n$/);
});

// Runs install.js where `places` are empty folders, as they are where nobody installed the headers.
async function installWithout(t, places) {
  const cover = places.map((place) => `mount -t tmpfs none ${place}`).join(' && ');
  const wrap = ['--mount', ...(process.getuid() === 0 ? [] : ['--user', '--map-root-user'])];
  const env = environment({ SECUREPAIR_BUILD_DIR: temporaryFolder(t), HOME: '/nonexistent' });
  try {
    const possible = await run('unshare', [...wrap, 'sh', '-c', cover]);
    if (possible.status !== 0) return null;
  } catch {
    return null;
  }
  return run('unshare', [...wrap, 'sh', '-c', `${cover} && exec "$@"`, 'sh', process.execPath,
                         path.join(home, 'install.js')], { env });
}

function headers() {
  const { headersOfNode } = require('../install/headers');
  return headersOfNode()[1];
}

test('no headers of node', async (t) => {
  const places = [headers(), '/usr/include/node', '/usr/local/include/node']
    .filter((place) => fs.existsSync(place)).map((place) => fs.realpathSync(place));
  const result = await installWithout(t, [...new Set(places)]);
  if (!result) return t.skip('no mount namespace here');
  assert.strictEqual(result.status, 3);
  assert.match(result.stderr, /^securepair: the headers of node [\d.]+ are missing: .*libnode-dev/);
  assert.strictEqual(result.stderr.trim().split('\n').length, 1);
});

test('no headers of OpenSSL', async (t) => {
  const places = [path.join(headers(), 'openssl'), '/usr/include/openssl',
                  '/usr/local/include/openssl'].filter((place) => fs.existsSync(place));
  const result = await installWithout(t, places);
  if (!result) return t.skip('no mount namespace here');
  assert.strictEqual(result.status, 3);
  assert.match(result.stderr, /^securepair: .*(libssl-dev|openssl\/ssl\.h is missing)/);
});

// A folder with headers like node's, of a version of its own.
function headersLike(t, change) {
  const other = temporaryFolder(t);
  const folder = path.join(other, 'include/node');
  fs.cpSync(headers(), folder, { recursive: true });
  const file = path.join(folder, 'node_version.h');
  fs.writeFileSync(file, change(fs.readFileSync(file, 'utf8')));
  return other;
}

test('the folder of the headers, by its name', async (t) => {
  const print = 'console.log(require(process.argv[1]).headersOfNode()[1])';
  const find = async (named) => (await runNode(['-e', print, path.join(home, 'install/headers.js')],
    { env: { ...environment(), ...named } })).stdout.trim();
  const same = headersLike(t, (text) => text);
  const other = headersLike(t, (text) => text.replace(/(NODE_MAJOR_VERSION) \d+/, '$1 12'));
  for (const name of ['SECUREPAIR_NODE_DIR', 'npm_config_nodedir']) {
    assert.strictEqual(await find({ [name]: same }), path.join(same, 'include/node'));
    assert.strictEqual(await find({ [name]: other }), headers(), 'of another node: not taken');
  }
});

// npm, without a network and without what npm tells the scripts it runs.
function npm(folder, ...args) {
  const env = environment({ npm_config_offline: 'true', npm_config_audit: 'false',
                            npm_config_fund: 'false', npm_config_update_notifier: 'false',
                            PATH: `${path.dirname(process.execPath)}:${process.env.PATH}`,
                            SECUREPAIR_BUILD_DIR: '' });
  return run('npm', args, { cwd: folder, env });
}

async function hasNpm() {
  return run('npm', ['--version']).then(() => true, () => false);
}

// The package as somebody installs it, into a folder: where it is then. Newer npms compile it only when
// they are told that they may.
async function packAndInstall(t, folder) {
  const tree = copyOfSources(t);
  for (const name of ['LICENSE', 'node/README.md', 'node/types', 'node/examples',
                      'node/register.js', 'node/register-v0.4.js'])
    fs.cpSync(path.join(home, '..', name), path.join(tree, name), { recursive: true });
  const packed = await npm(path.join(tree, 'node'), 'pack', '--silent',
    '--pack-destination', folder);
  assert.strictEqual(packed.status, 0, packed.stderr);
  assert.ok(!fs.existsSync(path.join(tree, 'node/core')), 'nothing is left behind');
  const file = packed.stdout.trim();
  const allowScripts = { [`file:${path.join(folder, file)}`]: true };
  fs.writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ allowScripts }));
  const installed = await npm(folder, 'install', `./${file}`);
  assert.strictEqual(installed.status, 0, installed.stderr);
  return path.join(folder, 'node_modules/securepair');
}

const buildIn = (folder) => runNode([path.join(folder, 'install.js')],
  { env: environment({ SECUREPAIR_BUILD_DIR: '' }) });

/** `folder`: of a module that is built; `core`: where the library's sources are that it is built from. */
async function buildsWhatChanged(folder, core) {
  const built = path.join(folder, 'build');
  const objects = path.join(built, path.basename(binary, '.node'));
  const times = () => Object.fromEntries(fs.readdirSync(objects)
    .filter((name) => name.endsWith('.o'))
    .map((name) => [name, fs.statSync(path.join(objects, name)).mtimeMs]));
  const changed = (before) => Object.entries(times())
    .filter(([name, time]) => time !== before[name]).map(([name]) => name);
  const load = `console.log(typeof require(${JSON.stringify(path.join(built, binary))}).start)`;
  assert.strictEqual((await runNode(['-e', load], { env: environment() })).stdout, 'function\n');

  const before = times();
  assert.strictEqual((await buildIn(folder)).stdout, '');
  assert.deepStrictEqual(changed(before), []);

  fs.appendFileSync(path.join(core, 'src/pair/port.c'), '\n');
  const second = await buildIn(folder);
  assert.strictEqual(second.stderr, '');
  assert.match(second.stdout, /^securepair: built .*\n$/);
  assert.deepStrictEqual(changed(before), ['pair-port.o']);

  const afterwards = times();
  fs.appendFileSync(path.join(core, 'src/pair/pair.h'), '\n');
  assert.match((await buildIn(folder)).stdout, /built/);
  const recompiled = changed(afterwards);
  assert.ok(recompiled.length > 1 && recompiled.length < Object.keys(afterwards).length);

  fs.appendFileSync(path.join(core, 'src/pair/port.c'), 'this is not C\n');
  const failed = await buildIn(folder);
  assert.strictEqual(failed.status, 1);
  assert.match(failed.stderr, /the compiler failed on pair-port.o:\n[^]*this is not C/);
}

// What an npm leaves that does not compile.
async function saysHowToBuild(folder) {
  const load = () => runNode(['-e', "require('securepair')"],
    { cwd: folder, env: environment({ SECUREPAIR_BUILD_DIR: '' }) });
  fs.rmSync(path.join(folder, 'node_modules/securepair/build', binary));
  const { status, stderr } = await load();
  assert.strictEqual(status, 1);
  assert.match(stderr, /ERR_SECUREPAIR_NOT_BUILT/);
  const [, command] = /is not there; run (node ".*") with this node/.exec(stderr);
  const env = environment({ SECUREPAIR_BUILD_DIR: '',
                            PATH: `${path.dirname(process.execPath)}:${process.env.PATH}` });
  assert.match((await run('sh', ['-c', command], { env })).stdout, /^securepair: built /);
  const { status: loaded, stderr: silence } = await load();
  assert.deepStrictEqual([loaded, silence], [0, '']);
}

// One build is enough for both: it takes as long as all the other tests here.
test('built elsewhere', async (t) => {
  const folder = temporaryFolder(t);
  if (!await hasNpm()) {
    const tree = copyOfSources(t);
    await buildIn(path.join(tree, 'node'));
    await t.test('the package, packed and installed elsewhere', (t) => t.skip('npm is not here'));
    await t.test('one that is not built says how', (t) => t.skip('npm is not here'));
    await t.test('it builds what changed and nothing else',
      () => buildsWhatChanged(path.join(tree, 'node'), tree));
    return;
  }
  let installed;
  await t.test('the package, packed and installed elsewhere', async (t) => {
    installed = await packAndInstall(t, folder);
    const program = `require('securepair/register'); const tls = require('tls');
      console.log(tls.connect === require('securepair').connect,
                  typeof require('securepair/v0.4').createSecurePair);`;
    const { stdout, stderr } = await runNode(['-e', program],
      { cwd: folder, env: environment({ SECUREPAIR_BUILD_DIR: '' }) });
    assert.strictEqual(stderr, '');
    assert.strictEqual(stdout, 'true function\n');
  });
  await t.test('one that is not built says how', () => saysHowToBuild(folder));
  await t.test('it builds what changed and nothing else',
    () => buildsWhatChanged(installed, path.join(installed, 'core')));
});
