'use strict';
// Servers and clients of the module under test on both of its transports: 'native', a socket of its
// own, and 'duplex', over a stream of the program's.

const assert = require('node:assert');
const { once } = require('node:events');
const net = require('node:net');
const { keys } = require('./keys');
const { tls } = require('./module');
const { Wire } = require('./wire');

const HOST = '127.0.0.1';
const TRANSPORTS = ['native', 'duplex'];

/** The key and the certificate that clients of connect() find in order. */
function identity() {
  const { key, cert } = keys().server;
  return { key, cert };
}

/**
 * A server on a free port (`server.port`), which ends with the test `t`, connections and all. Over
 * 'duplex' its connections are given to it by emit('connection').
 */
async function serve(t, transport, options, listener) {
  const server = tls.createServer({ ...identity(), ...options }, listener);
  const sockets = gather(server, 'secureConnection');
  const door = transport === 'native' ? server : doorOf(server, options);
  server.door = door;
  door.listen(0, HOST);
  await once(door, 'listening');
  server.port = door.address().port;
  t.after(() => shut(door, sockets));
  return server;
}

function doorOf(server, { allowHalfOpen = false } = {}) {
  const door = net.createServer({ allowHalfOpen: true },
    (raw) => server.emit('connection', new Wire(raw, { allowHalfOpen })));
  door.raws = gather(door, 'connection');
  return door;
}

function gather(emitter, event) {
  const all = new Set();
  emitter.on(event, (socket) => {
    all.add(socket);
    socket.on('close', () => all.delete(socket));
    socket.on('error', () => {});
  });
  return all;
}

function shut(door, sockets) {
  for (const socket of [...sockets, ...(door.raws || [])]) socket.destroy();
  return door.listening && new Promise((resolve) => door.close(resolve));
}

/** A client that trusts identity(). Its errors are heard, so that they do not end the process. */
function connect(transport, port, options) {
  const all = { host: HOST, port, servername: 'localhost', ca: keys().ca, ...options };
  if (transport === 'duplex') {
    const raw = net.connect({ host: HOST, port, allowHalfOpen: true });
    all.socket = new Wire(raw, { allowHalfOpen: !!all.allowHalfOpen });
  }
  const socket = tls.connect(all);
  socket.on('error', () => {});
  return socket;
}

/** connect(), once it is secure. */
async function connected(transport, port, options) {
  const socket = connect(transport, port, options);
  await once(socket, 'secureConnect');
  return socket;
}

/** `seen`: which of these events came, in order, errors with their code; `closed`: after close. */
function watch(socket, events = ['secureConnect', 'end', 'error', 'close']) {
  const seen = [];
  for (const name of events)
    socket.on(name, (value) => seen.push(value instanceof Error ? `${name} ${value.code}` : name));
  const closed = new Promise((resolve) => {
    // What comes after the last event would still be seen.
    socket.once('close', () => setImmediate(() => setImmediate(resolve)));
  });
  return { seen, closed };
}

/** Whatever happened to it, the server takes a good client, and the client takes the server. */
async function assertServes(server) {
  const accepted = once(server, 'secureConnection');
  const socket = await connected('native', server.port);
  assert.strictEqual(socket.authorized, true);
  await accepted;
  socket.destroy();
  await once(socket, 'close');
}

/** All that a socket hears until its end. */
async function bytesOf(socket) {
  const parts = [];
  socket.on('data', (data) => parts.push(data));
  await once(socket, 'end');
  return Buffer.concat(parts);
}

module.exports = {
  HOST, TRANSPORTS, identity, serve, connect, connected, watch, assertServes, bytesOf,
};
