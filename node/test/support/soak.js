'use strict';
// A program for life-leaks.test.js and leaks.sh: as many connections as its argument says, to a
// server and from clients of the module under test, on both transports, good ones and bad ones.
// Says how memory and descriptors were after a third of them, and at the end:
//
//     { "connections": 1000, "memory": [KB, KB], "descriptors": [n, n] }

const fs = require('node:fs');
const net = require('node:net');
const kit = require('./child').kit();
const { Wire } = require('./wire');

const HOST = '127.0.0.1';
const AT_ONCE = 8;
const total = Number(process.argv[2]);
const samples = [];

const server = kit.tls.createServer({ ...kit.own, SNICallback: (name, answer) => answer(null) },
  (socket) => {
    socket.on('error', () => {});
    socket.on('data', (data) => socket.write(data));
    socket.on('end', () => socket.end());
    socket.getPeerCertificate(true);
    socket.getSession();
  });
server.on('tlsClientError', () => {});
const door = net.createServer((raw) => server.emit('connection', new Wire(raw)));

function connect(over, options) {
  const { port } = (over ? door : server).address();
  const socket = over ? new Wire(net.connect(port, HOST)) : undefined;
  return kit.connect(port, { socket, ...options });
}

let session;

const KINDS = [
  // A good one, and one that resumes its session.
  (over) => connect(over).on('session', (one) => { session = one; }).on('data', leave)
    .setEncoding('hex').once('secureConnect', greet),
  (over) => connect(over, { session }).on('data', leave).once('secureConnect', greet),
  // Destroyed with bytes under way, and before its handshake.
  (over) => connect(over).once('secureConnect', function destroy() {
    this.getPeerCertificate(true);
    this.write(Buffer.alloc(50000));
    this.destroy();
  }),
  (over) => {
    const client = connect(over);
    setImmediate(() => client.destroy());
    return client;
  },
  // Somebody who does not trust the server, and somebody who does not speak TLS.
  (over) => connect(over, { ca: [] }),
  (over) => net.connect((over ? door : server).address().port, HOST, function junk() {
    this.resume().on('error', () => {}).end('GET / HTTP/1.0\r\n\r\n');
  }),
];

function greet() {
  this.write('hello');
}

function leave() {
  this.end();
}

// Resident memory, without the reserves of JavaScript's heap, which come and go.
function sample() {
  gc();
  const { rss, heapTotal, heapUsed } = process.memoryUsage();
  samples.push({ memory: Math.round((rss - heapTotal + heapUsed) / 1024),
                 descriptors: fs.readdirSync('/proc/self/fd').length });
}

/** `count` connections, AT_ONCE at a time. */
function run(count) {
  return new Promise((resolve) => {
    let begun = 0;
    let over = 0;
    const next = () => {
      const socket = KINDS[begun % KINDS.length](begun % 4 === 3);
      begun++;
      socket.on('close', () => {
        if (++over === count) setImmediate(resolve);
        else if (begun < count) next();
      });
    };
    for (let i = 0; i < Math.min(AT_ONCE, count); i++) next();
  });
}

function quiet() {
  return new Promise((resolve) => {
    const look = () => server.getConnections((error, count) => {
      if (count > 0) setImmediate(look);
      else door.getConnections((failed, more) => (more ? setImmediate(look) : resolve()));
    });
    look();
  });
}

async function main() {
  const warm = Math.ceil(total / 3);
  await run(warm);
  await quiet();
  sample();
  await run(total - warm);
  await quiet();
  sample();
  console.log(JSON.stringify({ connections: total, memory: samples.map((one) => one.memory),
                               descriptors: samples.map((one) => one.descriptors) }));
  server.close();
  door.close();
}

server.listen(0, HOST, () => door.listen(0, HOST, main));
