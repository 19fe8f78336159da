'use strict';
// Node's server of the benchmarks: one and the same script on Node's own tls and, by
// `-r securepair/register`, on ours. The command line is that of all servers there; `pipe` echoes by
// socket.pipe(socket).
//
//     node [-r ...] node-server.js KEY CERT [echo|pipe|sink|source] [tls1.2] [writes=N]

const fs = require('node:fs');
const tls = require('node:tls');

const [key, cert, ...words] = process.argv.slice(2);
const isOld = words.includes('tls1.2');
const version = isOld ? 'TLSv1.2' : 'TLSv1.3';

const block = Buffer.alloc(Number(words.find((word) => word.startsWith('writes='))?.slice(7) ?? 16384));

const modes = {
  echo(socket) {
    socket.on('data', (chunk) => {
      if (!socket.write(chunk)) socket.pause();
    });
    socket.on('drain', () => socket.resume());
  },
  pipe: (socket) => socket.pipe(socket),
  sink: (socket) => socket.resume(),
  source(socket) {
    const fill = () => {
      while (!socket.destroyed && socket.writable && socket.write(block));
    };
    socket.on('drain', fill);
    socket.resume();
    fill();
  },
};
const serve = modes[words.find((word) => word in modes) ?? 'echo'];

const server = tls.createServer(
  {
    key: fs.readFileSync(key),
    cert: fs.readFileSync(cert),
    ecdhCurve: 'X25519',
    ciphers: isOld ? 'ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256'
      : 'TLS_AES_128_GCM_SHA256',
    minVersion: version,
    maxVersion: version,
  },
  (socket) => {
    socket.on('error', () => {});
    serve(socket);
  },
);

server.listen(0, '127.0.0.1', 4096, () => {
  process.stdout.write(`${server.address().port}\n`);
});
process.stdin.resume();
process.stdin.on('end', () => process.exit());
