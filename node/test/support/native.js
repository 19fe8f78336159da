'use strict';
// The binding by itself: events go to functions that a test sets on the native object, or on
// `unowned` where nobody has set any (a hook that asks before there is an owner).

const net = require('node:net');
const binding = require(process.env.SECUREPAIR_BINDING || '../../lib/binding');

const NAMES = ['onsecure', 'ondata', 'onend', 'onwrite', 'onended', 'onerror', 'onclose',
  'onsession', 'onkeylog', 'onocsp', 'ontransportwrite', 'ontransportread', 'ontransportend',
  'ontransportclose', 'onconnection', 'onclienterror', 'onaccept', 'ondrop', 'onserverclose',
  'onservername', 'onprotocols', 'onresume', 'onstore', 'onstaple', 'onpskserver', 'onpskclient'];

const unowned = {};

function functions() {
  return Object.fromEntries(NAMES.map((name) => [name, function forward(...args) {
    const listener = this[name] || unowned[name];
    return listener ? listener.apply(this, args) : undefined;
  }]));
}

binding.start(functions());

/** Waits for one call of a function of a native object; answers its arguments. */
function once(object, name) {
  return new Promise((resolve) => {
    object[name] = (...args) => {
      object[name] = undefined;
      resolve(args);
    };
  });
}

/** A server on a free port of 127.0.0.1. */
function serve(context, listeners = {}, options = {}) {
  const server = Object.assign(new binding.Server(context, options), listeners);
  const status = server.listen('127.0.0.1', 0);
  if (status < 0) throw new Error(`listen: ${status}`);
  const out = {};
  server.address(out);
  server.port = out.port;
  return server;
}

/** A native client on a connected socket. */
function connect(port, context, options = {}) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ port, host: '127.0.0.1' }, () => {
      try {
        resolve(binding.adopt(socket._handle.fd, binding.CLIENT, context,
          { serverName: 'localhost', ...options }));
      } catch (error) {
        reject(error);
      }
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

/** Everything that comes until the peer ends, as one Buffer. */
function collect(stream) {
  return new Promise((resolve, reject) => {
    const chunks = [];
    stream.ondata = (slab, offset, size) =>
      chunks.push(Buffer.from(slab.subarray(offset, offset + size)));
    stream.onend = (status) => (status ? reject(new Error(`end: ${status}`))
      : resolve(Buffer.concat(chunks)));
    stream.onerror = () => reject(new Error(stream.error().text));
    stream.readStart();
  });
}

/** Closes a server and everything that belongs to it. */
async function stop(server) {
  const closed = once(server, 'onserverclose');
  server.close();
  server.destroyAll();
  await closed;
}

module.exports = { binding, unowned, once, serve, connect, collect, stop };
