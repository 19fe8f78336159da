'use strict';
// The server of `./run bench node`: one and the same script on Node's own tls and, by
// `-r securepair/register`, on ours.
//
//     node [-r ...] node-server.js KEY CERT echo|pipe

const fs = require('node:fs');
const tls = require('node:tls');

const [key, cert, what] = process.argv.slice(2);

const echo = (socket) => {
  socket.on('data', (chunk) => {
    if (!socket.write(chunk)) socket.pause();
  });
  socket.on('drain', () => socket.resume());
};

const pipe = (socket) => socket.pipe(socket);

const server = tls.createServer(
  {
    key: fs.readFileSync(key),
    cert: fs.readFileSync(cert),
    ecdhCurve: 'X25519',
    ciphers: 'TLS_AES_128_GCM_SHA256',
    minVersion: 'TLSv1.3',
  },
  (socket) => {
    socket.on('error', () => {});
    (what === 'pipe' ? pipe : echo)(socket);
  },
);

server.listen(0, '127.0.0.1', 4096, () => {
  process.stdout.write(`${server.address().port}\n`);
});
process.stdin.resume();
process.stdin.on('end', () => process.exit());
