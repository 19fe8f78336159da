'use strict';
// What an idle connection keeps of a server's memory: how the resident set grows between two numbers
// of connections, each after a handshake and an echo of 1 KB, when buffers had time to be let go.

const { descriptors, residentKB, withServer } = require('./processes.js');
const { hold } = require('./load.js');
const { takeTurns } = require('./slices.js');

const SETTLE = 2.5; // seconds

const settle = () => new Promise((resolve) => setTimeout(resolve, SETTLE * 1000));

async function slope(kit, server, from, to) {
  const held = [];
  try {
    held.push(await hold(kit, server, from));
    await settle();
    const low = residentKB(server.pids());
    held.push(await hold(kit, server, to - from));
    await settle();
    return (residentKB(server.pids()) - low) / (to - from);
  } finally {
    await Promise.all(held.map((one) => one.release()));
  }
}

// As many as may be open at both ends; a proxy has two sockets for each (and stunnel's limit is lower).
function connectionsOf(row, [from, to]) {
  const most = Math.floor((descriptors() * (row.group === 'proxy' ? 0.48 : 0.98)) / 100) * 100;
  return [Math.min(from, most / 2), Math.min(to, most)];
}

// Each time with a new process: what an allocator kept of the last time would hide the growth.
async function measureIdle(kit, row, start, { connections, times }, tell) {
  const [from, to] = connectionsOf(row, connections);
  const one = (i) => withServer(start(row.contestants[i]), (server) => slope(kit, server, from, to));
  return takeTurns(row.contestants.length, times, one, tell);
}

const idleSeconds = (row, { connections: [, to], times }) =>
  row.contestants.length * times * (2 * SETTLE + 1 + to / 1200);

module.exports = { measureIdle, idleSeconds, connectionsOf };
