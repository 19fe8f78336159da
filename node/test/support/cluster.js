'use strict';
// A program of its own: two workers of a cluster serve one port; the primary counts who answered.
//
//     node cluster.js MODULE KEY CERT CA

const cluster = require('node:cluster');
const fs = require('node:fs');

const [module_, keyPath, certPath, caPath] = process.argv.slice(2);
const tls = require(module_);

function work() {
  const server = tls.createServer({
    key: fs.readFileSync(keyPath), cert: fs.readFileSync(certPath),
  }, (socket) => {
    socket.end(`${process.pid} ${server.getTicketKeys().toString('hex')}`);
  });
  server.listen(0, '127.0.0.1', () => process.send(server.address().port));
}

function ask(port) {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = tls.connect({ port, host: '127.0.0.1', servername: 'localhost',
                                 ca: fs.readFileSync(caPath) });
    socket.setEncoding('latin1');
    socket.on('data', (data) => { text += data; });
    socket.on('error', reject);
    socket.on('close', () => resolve(text.split(' ')));
  });
}

async function lead() {
  const ports = await Promise.all([cluster.fork(), cluster.fork()].map(
    (worker) => new Promise((resolve) => worker.once('message', resolve))));
  const answers = [];
  for (let i = 0; i < 4; i++) answers.push(await ask(ports[0]));
  const count = (index) => new Set(answers.map((answer) => answer[index])).size;
  console.log(`${answers.length} connections, ${count(0)} workers, ${count(1)} set of ticket keys`);
  cluster.disconnect();
}

if (cluster.isPrimary) lead();
else work();
