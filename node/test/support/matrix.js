'use strict';
// A program for faults-matrix.test.js: in each callback (WHERE) each thing a program may do (WHAT),
// on the transport that its argument names. Says what went wrong, a line each, then how many pairs
// it tried.

const net = require('node:net');
const kit = require('./child').kit();
const { Wire } = require('./wire');

const WHERE = ['secureConnect', 'data', 'end', 'drain', 'error', 'close', 'session', 'keylog',
               'SNICallback', 'ALPNCallback'];
const MEGABYTE = Buffer.alloc(1 << 20);
const HOST = '127.0.0.1';
const MOST = 20;
const over = process.argv[2] === 'duplex';

const WHAT = {
  destroy: ({ client, socket = client }) => socket.destroy(),
  end: ({ client, socket = client }) => socket.end(),
  write: ({ client, socket = client }) => socket.write(MEGABYTE),
  'server.close': ({ server }) => server.close(),
  pause: ({ client, socket = client }) => setImmediate(() => socket.resume()) && socket.pause(),
  throw: () => { throw new Error('thrown'); },
};

const problems = [];
let running;

process.on('uncaughtException', (error) => {
  if (error.message !== 'thrown') problems.push(`${running.name}: ${error.stack}`);
  // The listeners behind the one that threw were not called.
  if (running.client) running.client.destroy();
});

/** One connection, and what happens in the callback `where`. */
class Meeting {
  constructor(where, what) {
    this.name = `${where}, ${what}`;
    this.where = where;
    this.what = WHAT[what];
    this.acted = 0;
    this.open = 0;
    this.done = new Promise((resolve) => { this.resolve = resolve; });
    this.server = kit.tls.createServer({
      ...kit.own,
      SNICallback: (name, answer) => {
        this.act('SNICallback');
        answer(null);
      },
      ALPNCallback: ({ protocols }) => {
        this.act('ALPNCallback');
        return protocols[0];
      },
    }, (socket) => this.accept(socket));
    this.server.on('tlsClientError', () => {});
    if (where === 'keylog') this.server.on('keylog', () => this.act('keylog'));
    this.door = over ? net.createServer((raw) => this.server.emit('connection', new Wire(raw)))
      : this.server;
    this.door.listen(0, HOST, () => this.connect(this.door.address().port));
  }

  act(where, socket) {
    if (where !== this.where || ++this.acted > MOST) return;
    this.what({ client: this.client, server: this.server, socket });
  }

  follow(socket, name) {
    let closes = 0;
    this.open++;
    socket.on('error', () => {});
    socket.on('close', () => {
      if (++closes > 1) problems.push(`${this.name}: ${name} closed ${closes} times`);
      else this.open--;
      setImmediate(() => this.finish());
    });
    socket.on(this.where, () => this.act(this.where, socket));
  }

  accept(socket) {
    this.follow(socket, 'server');
    socket.write('hello');
    socket.on('data', () => {
      if (!socket.writable) return;
      socket.write(MEGABYTE);
      socket.end('bye');
    });
  }

  connect(port) {
    const socket = over ? new Wire(net.connect(port, HOST)) : undefined;
    const client = this.client = kit.connect(port, { socket, ALPNProtocols: ['x'] });
    this.follow(client, 'client');
    if (this.where === 'error') client.once('data', () => client.destroy(new Error('made up')));
    client.on('secureConnect', () => client.write('go'));
    client.once('data', () => client.writable && client.write(MEGABYTE));
    client.on('end', () => client.end());
  }

  finish() {
    if (this.open > 0) return;
    // A write that is taken at once is not followed by a drain.
    if (!this.acted && this.where !== 'drain') problems.push(`${this.name}: it never came`);
    this.server.close();
    this.door.close();
    setImmediate(this.resolve);
  }
}

async function main() {
  let count = 0;
  for (const where of WHERE) {
    for (const what of Object.keys(WHAT)) {
      running = new Meeting(where, what);
      await running.done;
      count++;
    }
  }
  for (const problem of problems) console.log(problem);
  console.log(count);
}

process.on('SIGTERM', () => {
  console.log(`${running.name}: no end`);
  process.exit(1);
});
main();
