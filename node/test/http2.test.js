'use strict';
// Node's http2, on securepair.

require('../register');

const assert = require('node:assert');
const { randomBytes } = require('node:crypto');
const { once } = require('node:events');
const http2 = require('node:http2');
const https = require('node:https');
const { test } = require('node:test');
const tls = require('node:tls');
const { keys } = require('./support/keys');
const { assertOurs } = require('./support/ours');
const { register, run, runNode } = require('./support/program');
const { listen } = require('./support/serving');

const { key, cert } = keys().server;
const { ca } = keys();

async function serve(t, options, handler) {
  const server = http2.createSecureServer({ key, cert, ...options }, handler);
  server.on('secureConnection', assertOurs);
  return { server, port: await listen(server, t) };
}

async function connect(t, port, options) {
  const session = http2.connect(`https://localhost:${port}`, { ca, family: 4, ...options });
  t.after(() => session.destroyed || session.destroy());
  const [, socket] = await once(session, 'connect');
  assertOurs(socket.stream || socket);
  return session;
}

async function ask(session, headers, body) {
  const stream = session.request(headers, { endStream: body === undefined });
  const chunks = [];
  stream.on('data', (chunk) => chunks.push(chunk));
  if (body !== undefined) stream.end(body);
  const [[answer]] = await Promise.all([once(stream, 'response'), once(stream, 'end')]);
  return { answer, body: Buffer.concat(chunks) };
}

test('the compatible interface', async (t) => {
  const { port } = await serve(t, {}, (request, response) => {
    response.setHeader('x-version', request.httpVersion);
    response.end(`${request.method} ${request.url} ${request.socket.alpnProtocol}`);
  });
  const session = await connect(t, port);
  assert.strictEqual(session.alpnProtocol, 'h2');
  assert.strictEqual(session.encrypted, true);
  const { answer, body } = await ask(session, { ':path': '/page' });
  assert.strictEqual(answer['x-version'], '2.0');
  assert.strictEqual(body.toString(), 'GET /page h2');
});

test('the stream interface', async (t) => {
  const { server, port } = await serve(t, {});
  server.on('stream', (stream, headers) => {
    stream.respond({ ':status': 200 });
    stream.end(`it was ${headers[':path']}`);
  });
  const session = await connect(t, port);
  const answers = await Promise.all(['/a', '/b', '/c'].map((path) =>
    ask(session, { ':path': path })));
  assert.deepStrictEqual(answers.map(({ body }) => body.toString()),
    ['it was /a', 'it was /b', 'it was /c']);
});

test('five megabytes there and back', async (t) => {
  const { server, port } = await serve(t, {});
  server.on('stream', (stream) => {
    stream.respond({ ':status': 200 });
    stream.pipe(stream);
  });
  const sent = randomBytes(5e6);
  const session = await connect(t, port);
  const { body } = await ask(session, { ':path': '/', ':method': 'POST' }, sent);
  assert.ok(body.equals(sent));
});

test('a session that closes ends the connection', async (t) => {
  const { port } = await serve(t, {}, (request, response) => response.end('bye'));
  const session = await connect(t, port);
  await ask(session, { ':path': '/' });
  session.close();
  await once(session, 'close');
});

test('who the client is', async (t) => {
  const { port } = await serve(t, { ca, requestCert: true }, (request, response) => {
    const { socket } = request;
    response.end([socket.authorized, socket.getPeerCertificate().subject.CN, socket.encrypted,
                  socket.getProtocol(), socket.remoteAddress, socket.servername].join(' '));
  });
  const { client } = keys();
  const session = await connect(t, port, { key: client.key, cert: client.cert });
  assert.strictEqual(session.socket.authorized, true);
  assert.strictEqual(session.socket.getPeerCertificate().subject.CN, 'localhost');
  const { body } = await ask(session, { ':path': '/' });
  assert.strictEqual(body.toString(), 'true client true TLSv1.3 127.0.0.1 localhost');
});

test('a session without a reference lets the program end', async (t) => {
  const { port } = await serve(t, {}, (request, response) => response.end('bye'));
  const program = `
    const session = require('http2').connect('https://localhost:${port}', {
      ca: require('fs').readFileSync(${JSON.stringify(keys().caPath)}) });
    session.on('connect', (session, { stream }) => console.log(stream._handle.hasRef()));
    session.request({ ':path': '/' }).resume().on('end', () => session.unref());`;
  const { stdout, stderr, status } = await runNode(['-r', register, '-e', program]);
  assert.strictEqual(stderr, '');
  assert.strictEqual(stdout, 'true\n');
  assert.strictEqual(status, 0);
});

test('a client that knows only HTTP/1.1', async (t) => {
  const { port } = await serve(t, { allowHTTP1: true }, (request, response) =>
    response.end(`${request.httpVersion} ${request.socket.alpnProtocol}`));
  const request = https.get({ host: 'localhost', family: 4, port, ca, agent: false,
                              ALPNProtocols: ['http/1.1'] });
  const [response] = await once(request, 'response');
  const [chunk] = await once(response, 'data');
  assert.strictEqual(chunk.toString(), '1.1 http/1.1');
});

test('no protocol in common', async (t) => {
  const { port } = await serve(t, {});
  const socket = tls.connect({ port, host: '127.0.0.1', servername: 'localhost', ca,
                               ALPNProtocols: ['http/1.0'] });
  const [error] = await once(socket, 'error');
  assert.match(error.code, /ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL|ECONNRESET/);
});

test('curl as the client', async (t) => {
  const { port } = await serve(t, {}, (request, response) => response.end('curl was here'));
  let answer;
  try {
    answer = await run('curl', ['-sS', '--http2', '-w', ' %{http_version}', '--cacert',
                                keys().caPath, `https://localhost:${port}/`]);
  } catch {
    return t.skip('curl is not here');
  }
  assert.strictEqual(answer.stderr, '');
  assert.strictEqual(answer.stdout, 'curl was here 2');
});
