'use strict';
// The TLS servers that are held against each other. All take the same command line:
//
//     SERVER KEY CERT [echo|sink|source] [tls1.2] [writes=N] [words of their own]
//
// listen on a free port of 127.0.0.1, print it, and end when their input ends.

const path = require('node:path');

const { said } = require('./machine.js');
const { SERVER, serve, stop, tree } = require('./processes.js');

const nodeServer = path.join(__dirname, 'node-server.js');
const register = path.join(__dirname, '../node/register.js');

const ownVersion = (kit) => said('git', '-C', kit.root, 'describe', '--always', '--dirty', '--tags');

// `words` run the server; `needs`: which program of the kit has to be there.
const SERVERS = {
  ours: {
    title: 'securepair', needs: 'server',
    words: (kit) => [kit.program('server')],
    version: ownVersion,
    settings: 'sp_server_t and sp_stream_t with the defaults, X25519 (bench/server.c)',
  },
  again: {
    title: 'securepair again', needs: 'server',
    words: (kit) => [kit.program('server')],
    version: ownVersion,
    settings: 'a second process of the same program',
  },
  workers: {
    title: 'securepair, workers', needs: 'server', extra: ['workers'],
    words: (kit) => [kit.program('server')],
    version: ownVersion,
    settings: 'the same with handshake_workers: handshakes on threads of their own',
  },
  bare: {
    title: 'bare OpenSSL + epoll', needs: 'bare',
    words: (kit) => [kit.program('bare')],
    version: () => said('openssl', 'version'),
    settings: 'one thread, no-delay, SSL_MODE_RELEASE_BUFFERS, one ticket (bench/bare.c)',
  },
  libevent: {
    title: 'libevent', needs: 'libevent',
    words: (kit) => [kit.program('libevent')],
    version: () => `libevent ${said('pkg-config', '--modversion', 'libevent_openssl')}`,
    settings: 'bufferevent_openssl, 64 KiB a turn, no-delay, SSL_MODE_RELEASE_BUFFERS, one ticket (bench/libevent.c)',
  },
  node: {
    title: "Node's tls",
    words: () => [process.execPath, nodeServer],
    version: () => `node ${process.version}, OpenSSL ${process.versions.openssl}`,
    settings: 'tls.createServer (bench/node-server.js); the number of tickets cannot be set',
  },
  module: {
    title: 'securepair in Node',
    words: () => [process.execPath, '-r', register, nodeServer],
    version: (kit) => `node ${process.version}, securepair ${ownVersion(kit)}`,
    settings: 'the same script with -r securepair/register',
  },
};

SERVERS['module-again'] = { ...SERVERS.module, title: 'securepair in Node again', settings: 'a second one of the same' };

// what: { key: 'ecdsa' | 'rsa', mode: 'echo' ..., version: '1.3' | '1.2', writes: bytes, realTime, nice }
async function startServer(kit, name, what) {
  const server = SERVERS[name];
  const { key, cert } = kit.keys[what.key];
  const words = [...server.words(kit), key, cert, what.mode,
    ...(what.version === '1.2' ? ['tls1.2'] : []), ...(what.writes ? [`writes=${what.writes}`] : []),
    ...(server.extra ?? [])];
  const { child, line } = await serve(words, {
    core: SERVER, realTime: what.realTime, nice: what.nice, env: { LD_PRELOAD: kit.preload },
  });
  child.endsWithInput = true;
  return { name, port: Number(line), pids: () => tree(child.pid), stop: () => stop(child) };
}

module.exports = { SERVERS, startServer };
