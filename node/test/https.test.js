'use strict';
// Node's https, on securepair.

require('../register');

const assert = require('node:assert');
const { createHash, randomBytes } = require('node:crypto');
const { once } = require('node:events');
const http = require('node:http');
const https = require('node:https');
const net = require('node:net');
const { test } = require('node:test');
const tls = require('node:tls');
const { keys } = require('./support/keys');
const { assertOurs } = require('./support/ours');
const { run } = require('./support/program');
const { listen } = require('./support/serving');

const { key, cert } = keys().server;
const { ca } = keys();

function serve(t, handler, options) {
  return listen(https.createServer({ key, cert, ...options }, handler), t);
}

// A request and its whole answer; `body` is sent if there is one.
async function ask(options, body) {
  const request = https.request({ host: 'localhost', family: 4, ca, agent: false, ...options });
  request.once('socket', (socket) => socket.once('secureConnect', () => assertOurs(socket)));
  request.end(body);
  const [response] = await once(request, 'response');
  const chunks = [];
  for await (const chunk of response) chunks.push(chunk);
  return { response, body: Buffer.concat(chunks) };
}

test('a page', async (t) => {
  const port = await serve(t, (request, response) => {
    assertOurs(request.socket);
    response.end(`${request.method} ${request.url}`);
  });
  const { response, body } = await ask({ port, path: '/page' });
  assert.strictEqual(response.statusCode, 200);
  assert.strictEqual(body.toString(), 'GET /page');
});

test('five megabytes there and back', async (t) => {
  const port = await serve(t, (request, response) => request.pipe(response));
  const sent = randomBytes(5e6);
  const { body } = await ask({ port, method: 'POST' }, sent);
  const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');
  assert.strictEqual(digest(body), digest(sent));
});

test('a hundred requests, over connections that are kept', async (t) => {
  const sockets = new Set();
  const port = await serve(t, (request, response) => {
    sockets.add(request.socket);
    response.end(request.url);
  });
  const agent = new https.Agent({ keepAlive: true, maxSockets: 4 });
  t.after(() => agent.destroy());
  const paths = Array.from({ length: 100 }, (_, i) => `/${i}`);
  const answers = await Promise.all(paths.map((path) => ask({ port, path, agent })));
  assert.deepStrictEqual(answers.map(({ body }) => body.toString()), paths);
  assert.ok(sockets.size <= 4);
});

test('a hundred requests, each over its own connection', async (t) => {
  let connections = 0;
  const server = https.createServer({ key, cert }, (request, response) => response.end('well'));
  server.on('secureConnection', () => connections++);
  const port = await listen(server, t);
  for (let i = 0; i < 100; i += 10) {
    const ten = await Promise.all(Array.from({ length: 10 }, () => ask({ port })));
    for (const { body } of ten) assert.strictEqual(body.toString(), 'well');
  }
  assert.strictEqual(connections, 100);
});

test('the agent resumes its sessions', async (t) => {
  const port = await serve(t, (request, response) =>
    response.end(String(request.socket.isSessionReused())));
  const agent = new https.Agent();
  t.after(() => agent.destroy());
  const answers = [];
  for (let i = 0; i < 3; i++) answers.push(String((await ask({ port, agent })).body));
  assert.deepStrictEqual(answers, ['false', 'true', 'true']);
});

test('a client with a certificate', async (t) => {
  const port = await serve(t, (request, response) => {
    const { authorized } = request.socket;
    response.end(`${authorized} ${request.socket.getPeerCertificate().subject.CN}`);
  }, { ca, requestCert: true });
  const { client } = keys();
  const { body } = await ask({ port, key: client.key, cert: client.cert });
  assert.strictEqual(body.toString(), 'true client');
});

test('a server that cannot be trusted is refused', async (t) => {
  const port = await serve(t, () => assert.fail('no request gets here'));
  await assert.rejects(ask({ port, ca: keys().otherCa }),
    { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' });
  await assert.rejects(ask({ port, servername: 'mail.example' }),
    { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
});

test('what is not TLS is a clientError', async (t) => {
  const server = https.createServer({ key, cert });
  const port = await listen(server, t);
  const socket = net.connect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\n\r\n'));
  socket.on('error', () => {});
  const [error] = await once(server, 'clientError');
  assert.strictEqual(error.code, 'ERR_SSL_HTTP_REQUEST');
  socket.destroy();
});

test('through a proxy that connects', async (t) => {
  const port = await serve(t, (request, response) => response.end('behind the proxy'));
  const proxy = http.createServer();
  proxy.on('connect', (request, socket) => {
    const target = net.connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      target.pipe(socket).pipe(target);
    });
  });
  const proxyPort = await listen(proxy, t);
  const request = http.request({ port: proxyPort, host: '127.0.0.1', method: 'CONNECT',
                                 path: `localhost:${port}`, agent: false });
  request.end();
  const [, socket] = await once(request, 'connect');
  const createConnection = () => tls.connect({ socket, ca, servername: 'localhost' });
  const { body } = await ask({ createConnection, agent: undefined });
  assert.strictEqual(body.toString(), 'behind the proxy');
});

test('a server that closes lets its answers go out first', async (t) => {
  const server = https.createServer({ key, cert }, (request, response) => {
    server.close();
    response.end('the last one');
  });
  const port = await listen(server, t);
  const closed = once(server, 'close');
  assert.strictEqual((await ask({ port })).body.toString(), 'the last one');
  await closed;
});

test('curl as the client', async (t) => {
  const port = await serve(t, (request, response) => {
    assertOurs(request.socket);
    response.end('curl was here');
  });
  let answer;
  try {
    answer = await run('curl', ['-sS', '--cacert', keys().caPath, `https://localhost:${port}/`]);
  } catch {
    return t.skip('curl is not here');
  }
  assert.strictEqual(answer.stderr, '');
  assert.strictEqual(answer.stdout, 'curl was here');
});
