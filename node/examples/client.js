'use strict';
// Takes what you type to a TLS server and shows what comes back. A server that cannot be authorized
// is refused, and the sentence says why.
//
//     node client.js HOST PORT [CA-FILE]

const fs = require('node:fs');
const tls = require('securepair');

const [host, port, caFile] = process.argv.slice(2);
if (!port) {
  console.error('usage: node client.js HOST PORT [CA-FILE]');
  process.exit(2);
}

const ca = caFile && fs.readFileSync(caFile);
const socket = tls.connect({ host, port, ca }, () => {
  console.error(`connected by ${socket.getProtocol()}, and it is ${host}`);
  process.stdin.pipe(socket);
});
socket.pipe(process.stdout);
socket.on('error', (error) => {
  console.error(error.explanation || error.message);
  process.exitCode = 1;
});
socket.on('close', () => {
  process.stdin.destroy();
  if (!socket.truncated) return;
  console.error('the connection was cut: something may be missing');
  process.exitCode = 1;
});
