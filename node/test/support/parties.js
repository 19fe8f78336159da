'use strict';
// One connection between the module under test, in either role and on either transport, and Node's
// own tls with its raw socket at hand.

const { once } = require('node:events');
const { builtinClient, builtinServer } = require('./builtin');
const { TRANSPORTS, serve, connect } = require('./transports');

const ROLES = ['server', 'client'];

/** Calls `body(role, transport)` for each of the four. */
function eachParty(body) {
  for (const role of ROLES)
    for (const transport of TRANSPORTS) body(role, transport);
}

/**
 * Both ends, secure: `ours` has `role`, with `options`; `peer` is { socket, wire, raw }; `keylog`:
 * its lines. `server` is ours where it is one.
 */
function meet(t, role, transport, options, peerOptions) {
  return (role === 'server' ? meetAsServer : meetAsClient)(t, transport, options, peerOptions);
}

function keylogOf(client) {
  const lines = [];
  client.on('keylog', (line) => lines.push(line.toString()));
  return lines;
}

async function meetAsServer(t, transport, options, peerOptions) {
  const server = await serve(t, transport, options);
  const accepted = once(server, 'secureConnection');
  const peer = builtinClient(t, server.port, peerOptions);
  const keylog = keylogOf(peer.socket);
  await once(peer.socket, 'secureConnect');
  const [ours] = await accepted;
  return { ours, peer, server, keylog };
}

async function meetAsClient(t, transport, options, peerOptions) {
  const { port, accepted } = await builtinServer(t, peerOptions);
  const ours = connect(transport, port, options);
  t.after(() => ours.destroy());
  const keylog = keylogOf(ours);
  const secure = once(ours, 'secureConnect');
  const peer = await accepted;
  await Promise.all([secure, once(peer.socket, 'secure')]);
  return { ours, peer, keylog };
}

module.exports = { ROLES, eachParty, meet };
