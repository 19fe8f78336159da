'use strict';
// The load maker (bench/load.c): what a server agrees to, and one slice of work for it.

const { CLIENT, run, serve, stop } = require('./processes.js');

const oldest = (what) => (what.version === '1.2' ? ['tls1.2'] : []);

async function load(kit, words, options) {
  return run([kit.program('load'), ...words], { core: CLIENT, ...options });
}

async function facts(kit, server, what) {
  return JSON.parse(await load(kit, ['facts', server.port, ...oldest(what)], { seconds: 20 }));
}

// What has to be the same on all sides for a row to say something; the number of tickets cannot be
// set everywhere, and is told.
const ALIKE = ['protocol', 'suite', 'group'];

function differs(one, other) {
  return ALIKE.filter((name) => one[name] !== other[name])
    .map((name) => `${name} ${other[name]} instead of ${one[name]}`);
}

// `amount`: handshakes, or bytes.
async function work(kit, server, row, amount) {
  const [kind, ...rest] = row.load;
  await load(kit, [kind, server.port, Math.round(amount), ...rest, ...oldest(row.what)]);
}

// Connections that stay until they are let go.
async function hold(kit, server, count) {
  const { child } = await serve([kit.program('load'), 'idle', server.port, count], { core: CLIENT, seconds: 300 });
  child.endsWithInput = true;
  return { release: () => stop(child, 20) };
}

module.exports = { facts, differs, work, hold };
