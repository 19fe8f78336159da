'use strict';
// Headless Chromium loads a page, and what the page asks for, from an https server on securepair.

require('../register');

const assert = require('node:assert');
const { createHash, X509Certificate } = require('node:crypto');
const { accessSync } = require('node:fs');
const http2 = require('node:http2');
const https = require('node:https');
const path = require('node:path');
const { test } = require('node:test');
const { keys } = require('./support/keys');
const { assertOurs } = require('./support/ours');
const { run, temporaryFolder } = require('./support/program');
const { listen } = require('./support/serving');

const { key, cert } = keys().server;

const PAGE = `<!doctype html><title>securepair</title><link rel="icon" href="data:,">
<p id="answer">waiting</p>
<script>
  fetch('/part', { method: 'POST', body: 'x'.repeat(200000) })
    .then((answer) => answer.text())
    .then((text) => { document.getElementById('answer').textContent = text; });
</script>`;

function findBrowser() {
  for (const name of ['chromium', 'chromium-browser', 'google-chrome'])
    for (const folder of process.env.PATH.split(path.delimiter)) {
      const file = path.join(folder, name);
      try {
        accessSync(file, 1);
        return file;
      } catch { /* not this one */ }
    }
  return null;
}

const browser = findBrowser();
const skip = browser ? false : 'chromium is not here';

// The page says how many bytes it sent, by which protocol.
function answer(request, response) {
  if (request.url !== '/part') {
    response.setHeader('content-type', 'text/html');
    return response.end(PAGE);
  }
  let size = 0;
  request.on('data', (chunk) => { size += chunk.length; });
  request.on('end', () => response.end(`${size} bytes by HTTP/${request.httpVersion}`));
}

// The one key that the browser is to trust.
function fingerprint() {
  const { publicKey } = new X509Certificate(cert);
  return createHash('sha256').update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64');
}

// What the page looks like when its scripts have run.
async function load(t, url) {
  const folder = temporaryFolder(t);
  const { stdout, stderr } = await run(browser, [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--disable-dev-shm-usage', `--user-data-dir=${folder}`,
    `--ignore-certificate-errors-spki-list=${fingerprint()}`,
    '--virtual-time-budget=20000', '--dump-dom', url], { env: { ...process.env, HOME: folder } });
  assert.match(stdout, /<title>securepair<\/title>/, stderr);
  return /id="answer">([^<]*)</.exec(stdout)[1];
}

test('a page over HTTP/1.1', { skip }, async (t) => {
  const server = https.createServer({ key, cert }, answer);
  server.on('secureConnection', assertOurs);
  const port = await listen(server, t);
  assert.strictEqual(await load(t, `https://localhost:${port}/`), '200000 bytes by HTTP/1.1');
});

test('a page over HTTP/2', { skip }, async (t) => {
  const server = http2.createSecureServer({ key, cert }, answer);
  server.on('secureConnection', assertOurs);
  const port = await listen(server, t);
  assert.strictEqual(await load(t, `https://localhost:${port}/`), '200000 bytes by HTTP/2.0');
});
