'use strict';
// Node's own tls as the peer of the module under test, with the raw socket at hand: for what a good
// peer would not do.

const { once } = require('node:events');
const net = require('node:net');
const tls = require('node:tls');
const { keys } = require('./keys');
const { Wire } = require('./wire');

const HOST = '127.0.0.1';

// The half that `wire` reads and writes stays open until the test says otherwise.
function wireOver(raw) {
  return new Wire(raw, { keepOpen: true });
}

/** A client: `wire.raw` is its socket. */
function builtinClient(t, port, options) {
  const wire = wireOver(net.connect({ host: HOST, port, allowHalfOpen: true }));
  const socket = tls.connect({ socket: wire, servername: 'localhost', ca: keys().ca, ...options });
  return lasting(t, socket, wire);
}

/** A server on a free port, for one connection: { port, accepted }; accepted as builtinClient. */
async function builtinServer(t, options) {
  const { key, cert } = keys().server;
  const server = net.createServer({ allowHalfOpen: true });
  server.listen(0, HOST);
  await once(server, 'listening');
  t.after(() => server.close());
  const accepted = once(server, 'connection').then(([raw]) => {
    const wire = wireOver(raw);
    const secureContext = tls.createSecureContext({ key, cert, ...options });
    const socket = new tls.TLSSocket(wire, { isServer: true, secureContext, ...options });
    return lasting(t, socket, wire);
  });
  return { port: server.address().port, accepted };
}

function lasting(t, socket, wire) {
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  t.after(() => wire.destroy());
  return { socket, wire, raw: wire.raw };
}

module.exports = { builtinClient, builtinServer };
