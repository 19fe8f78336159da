'use strict';
// A TLS server that welcomes every client and says back whatever it hears, with the module of
// today.
//
//     node server.js [PORT]
//
// It wants server-key.pem and server-cert.pem in the folder where it runs.

const fs = require('node:fs');
const tls = require('securepair');

const options = {
  key: fs.readFileSync('server-key.pem'),
  cert: fs.readFileSync('server-cert.pem'),
};

const server = tls.createServer(options, (socket) => {
  socket.on('error', (error) => console.error(error.message));
  socket.write('welcome!\n');
  socket.pipe(socket);
});
server.on('tlsClientError', (error) => console.error(error.explanation || error.message));
server.listen(process.argv[2] || 8000, () => {
  console.log(`listening on port ${server.address().port}`);
});
