'use strict';
// What the tests of the v0.4 module share: servers on free ports and openssl as the peer.

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const tls = require('../../lib/v0.4');
const { keys } = require('./keys');

/** Options of a server that a client who trusts `keys().ca` finds in order. */
function identity(name = 'server') {
  const { key, cert, chain } = keys()[name];
  return { key, cert: chain || cert };
}

/** A v0.4 server that listens on a free port; `t` closes it. Clients may go without a word. */
async function serve(t, options, listener) {
  const server = tls.createServer(options);
  server.on('secureConnection', (s) => s.on('error', () => {}));
  if (listener) server.on('secureConnection', listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => shut(server));
  return server;
}

function shut(server) {
  if (!server.listening) return undefined;
  return new Promise((resolve) => server.close(resolve));
}

function portOf(server) {
  return server.address().port;
}

/** A client of the v0.4 module; resolves with the stream once the callback was called. */
function connected(port, options = { ca: [keys().ca] }) {
  return new Promise((resolve, reject) => {
    const stream = tls.connect(port, '127.0.0.1', options, () => {
      stream.removeListener('error', reject);
      resolve(stream);
    });
    stream.once('error', reject);
  });
}

/** All that a stream says until its end, as text. */
function text(stream) {
  return new Promise((resolve, reject) => {
    let all = '';
    stream.on('data', (data) => { all += data; });
    stream.once('end', () => resolve(all));
    stream.once('error', reject);
  });
}

/**
 * Starts `openssl ...args`. `said` gathers both outputs; `saw(pattern)` resolves when it matches;
 * `gone` resolves with the exit code. `t` ends it if it still runs.
 */
function openssl(t, ...args) {
  const child = spawn('openssl', args, { cwd: keys().folder });
  const peer = { child, said: '', saw, gone: once(child, 'close').then(([code]) => code) };
  const waiting = new Set();
  const hear = (data) => {
    peer.said += data;
    for (const check of waiting) check();
  };
  function saw(pattern) {
    return new Promise((resolve, reject) => {
      const check = () => {
        if (!pattern.test(peer.said)) return;
        waiting.delete(check);
        resolve(peer.said);
      };
      waiting.add(check);
      peer.gone.then(() => reject(new Error(`openssl never said ${pattern}: ${peer.said}`)));
      check();
    });
  }
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  child.stdin.on('error', () => {}); // it may go before it read everything
  t.after(() => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    return peer.gone;
  });
  return peer;
}

/** `openssl s_client` towards a port here. */
function sClient(t, port, ...args) {
  return openssl(t, 's_client', '-connect', `127.0.0.1:${port}`, ...args);
}

/** `openssl s_server` on a free port, which is in `port` once `listening` is done. */
function sServer(t, ...args) {
  const peer = openssl(t, 's_server', '-accept', '127.0.0.1:0', ...args);
  peer.listening = peer.saw(/ACCEPT [^\n]*:(\d+)\n/).then((said) => {
    peer.port = Number(/ACCEPT [^\n]*:(\d+)\n/.exec(said)[1]);
  });
  return peer;
}

module.exports = {
  tls, keys, identity, serve, shut, portOf, connected, text, openssl, sClient, sServer,
};
