'use strict';
// Well-known packages, unchanged, on securepair.

require('../register');

const assert = require('node:assert');
const { once } = require('node:events');
const https = require('node:https');
const net = require('node:net');
const { test } = require('node:test');
const tls = require('node:tls');
const { keys } = require('./support/keys');
const { assertOurs } = require('./support/ours');
const { lacks, requirePackage } = require('./support/packages');
const { listen } = require('./support/serving');

const { key, cert } = keys().server;
const { ca } = keys();

// What the server's side of a protocol needs to turn to TLS where it stands.
function upgrade(socket) {
  const secure = new tls.TLSSocket(socket, { isServer: true, key, cert });
  secure.on('error', () => {});
  return secure;
}

test('ws: a WebSocket over https', { skip: lacks('ws') }, async (t) => {
  const { WebSocket, WebSocketServer } = requirePackage('ws');
  const server = https.createServer({ key, cert });
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket, request) => {
    assertOurs(request.socket);
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  const port = await listen(server, t);

  const client = new WebSocket(`wss://localhost:${port}/`, { ca, family: 4 });
  await once(client, 'open');
  assertOurs(client._socket);
  client.send('hello');
  assert.strictEqual(String((await once(client, 'message'))[0]), 'hello');
  const big = Buffer.alloc(3e6, 'big');
  client.send(big);
  assert.ok((await once(client, 'message'))[0].equals(big));
  client.close(1000, 'done');
  assert.strictEqual((await once(client, 'close'))[0], 1000);
});

// Serves one mail, over TLS as soon as the client asks for it; `got` collects what was said.
function serveMail(socket, got) {
  const replies = {
    EHLO: () => (socket.encrypted ? '250 at your service' : '250-at your service\r\n250 STARTTLS'),
    STARTTLS: () => '220 go ahead', MAIL: () => '250 ok', RCPT: () => '250 ok',
    DATA: () => '354 go ahead', QUIT: () => '221 bye',
  };
  let text = '';
  let mail = null;
  const hear = (line) => {
    if (mail !== null) return hearMail(line);
    const verb = line.split(' ', 1)[0].toUpperCase();
    got.push(`${verb} ${socket.encrypted ? 'encrypted' : 'plain'}`);
    socket.write(`${(replies[verb] || (() => '500 what?'))()}\r\n`);
    if (verb === 'DATA') mail = [];
    if (verb === 'STARTTLS') secure();
    if (verb === 'QUIT') socket.end();
  };
  const hearMail = (line) => {
    if (line !== '.') return mail.push(line);
    got.mail = mail.join('\n');
    mail = null;
    socket.write('250 taken\r\n');
  };
  const listenTo = () => socket.on('data', (chunk) => {
    const lines = (text + chunk).split('\r\n');
    text = lines.pop();
    lines.forEach(hear);
  });
  const secure = () => {
    socket.removeAllListeners('data');
    socket = upgrade(socket);
    socket.once('secure', () => assertOurs(socket));
    listenTo();
  };
  listenTo();
  socket.write('220 mail.example\r\n');
}

test('nodemailer: a mail by STARTTLS', { skip: lacks('nodemailer') }, async (t) => {
  const nodemailer = requirePackage('nodemailer');
  const got = [];
  const port = await listen(net.createServer((socket) => serveMail(socket, got)), t);
  const transport = nodemailer.createTransport({ host: '127.0.0.1', port, requireTLS: true,
                                                 tls: { ca, servername: 'localhost' } });
  const { accepted } = await transport.sendMail({ from: 'a@mail.example', to: 'b@mail.example',
                                                  subject: 'news', text: 'All is encrypted.' });
  assert.deepStrictEqual(accepted, ['b@mail.example']);
  assert.deepStrictEqual(got.slice(0, 4),
    ['EHLO plain', 'STARTTLS plain', 'EHLO encrypted', 'MAIL encrypted']);
  assert.match(got.mail, /^All is encrypted\.$/m);
});

test('nodemailer: a server that cannot be trusted gets no mail', { skip: lacks('nodemailer') },
  async (t) => {
    const nodemailer = requirePackage('nodemailer');
    const got = [];
    const port = await listen(net.createServer((socket) => {
      socket.on('error', () => {});
      serveMail(socket, got);
    }), t);
    const transport = nodemailer.createTransport({ host: '127.0.0.1', port, requireTLS: true });
    const mail = { from: 'a@mail.example', to: 'b@mail.example', text: 'secret' };
    await assert.rejects(transport.sendMail(mail), /certificate/);
    assert.deepStrictEqual(got, ['EHLO plain', 'STARTTLS plain']);
  });

// A message of PostgreSQL's protocol: its letter, its length, what is in it.
function message(letter, ...parts) {
  const body = Buffer.concat(parts.map((part) => (typeof part === 'string'
    ? Buffer.from(`${part}\0`) : Buffer.from(part))));
  const size = Buffer.alloc(4);
  size.writeInt32BE(body.length + 4);
  return Buffer.concat([Buffer.from(letter), size, body]);
}

const READY = message('Z', [0x49]); // idle

// One row with one text column, to any simple query.
function answerQuery(text) {
  const value = Buffer.from(text);
  return Buffer.concat([
    message('T', [0, 1], 'answer', [0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 0xff, 0xff, 0xff, 0xff, 0xff,
                                    0xff, 0, 0]),
    message('D', [0, 1], [0, 0, 0, value.length], value),
    message('C', 'SELECT 1'),
    READY,
  ]);
}

// A PostgreSQL server of one user and one answer, who insists on TLS.
function serveQueries(socket, queries) {
  socket.once('data', (request) => {
    assert.strictEqual(request.readInt32BE(4), 80877103, 'an SSLRequest comes first');
    socket.write('S');
    const secure = upgrade(socket);
    secure.once('data', () => {
      assertOurs(secure);
      secure.write(Buffer.concat([message('R', [0, 0, 0, 0]), READY]));
      secure.on('data', (chunk) => {
        if (chunk[0] !== 0x51) return; // Query
        queries.push(chunk.toString('utf8', 5, chunk.length - 1));
        secure.write(answerQuery('forty-two'));
      });
    });
  });
}

test('pg: a query, after the server said that it speaks TLS', { skip: lacks('pg') }, async (t) => {
  const { Client } = requirePackage('pg');
  const queries = [];
  const port = await listen(net.createServer((socket) => serveQueries(socket, queries)), t);
  const client = new Client({ host: 'localhost', port, user: 'me', database: 'mine',
                              ssl: { ca } });
  await client.connect();
  assertOurs(client.connection.stream);
  const { rows } = await client.query('SELECT answer');
  assert.deepStrictEqual(rows.map((row) => ({ ...row })), [{ answer: 'forty-two' }]);
  assert.deepStrictEqual(queries, ['SELECT answer']);
  await client.end();
});

test('express: over https', { skip: lacks('express') }, async (t) => {
  const express = requirePackage('express');
  const app = express();
  app.use(express.json());
  app.post('/sum', (request, response) => {
    assertOurs(request.socket);
    assert.strictEqual(request.protocol, 'https');
    response.json({ sum: request.body.reduce((a, b) => a + b) });
  });
  const port = await listen(https.createServer({ key, cert }, app), t);
  const request = https.request({ host: 'localhost', family: 4, port, path: '/sum', ca,
                                  method: 'POST', agent: false,
                                  headers: { 'content-type': 'application/json' } });
  request.end('[1, 2, 3]');
  const [response] = await once(request, 'response');
  const [chunk] = await once(response, 'data');
  assert.deepStrictEqual(JSON.parse(chunk), { sum: 6 });
});

test('undici: requests over one connection', { skip: lacks('undici') }, async (t) => {
  const { Pool } = requirePackage('undici');
  const seen = new Set();
  const port = await listen(https.createServer({ key, cert }, (request, response) => {
    assertOurs(request.socket);
    seen.add(request.socket);
    request.pipe(response);
  }), t);
  const pool = new Pool(`https://localhost:${port}`, { connections: 1, connect: { ca } });
  for (const body of ['one', 'two', 'three']) {
    const answer = await pool.request({ path: '/', method: 'POST', body });
    assert.strictEqual(await answer.body.text(), body);
  }
  assert.strictEqual(seen.size, 1);
  await pool.close();
});

test('undici: fetch over HTTP/2', { skip: lacks('undici') }, async (t) => {
  const { Agent, fetch } = requirePackage('undici');
  const http2 = require('node:http2');
  const server = http2.createSecureServer({ key, cert }, (request, response) =>
    response.end(request.httpVersion));
  server.on('secureConnection', assertOurs);
  const port = await listen(server, t);
  const dispatcher = new Agent({ allowH2: true, connect: { ca } });
  const answer = await fetch(`https://localhost:${port}/`, { dispatcher });
  assert.strictEqual(await answer.text(), '2.0');
  await dispatcher.destroy();
});
