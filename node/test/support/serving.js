'use strict';
// Servers on a free port of this machine.

const dns = require('node:dns');
const { once } = require('node:events');
const tls = require('node:tls');
const ours = require('../../lib/tls');

// Node 18 tries only the first address of localhost.
dns.setDefaultResultOrder('ipv4first');

/** Listens on 127.0.0.1; closed after the test `t`, with all its connections. Answers the port. */
async function listen(server, t) {
  const sockets = new Set();
  const isSecure = server instanceof tls.Server || server instanceof ours.Server;
  server.on(isSecure ? 'secureConnection' : 'connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => close(server, sockets));
  return server.address().port;
}

function close(server, sockets) {
  for (const socket of sockets) socket.destroy();
  return server.listening && new Promise((resolve) => server.close(resolve));
}

module.exports = { listen };
