'use strict';
// Proxies that end TLS before a plain server: four of other people's and ours, each with one worker
// and with the same key, suite and group. Their files are written into the kit's folder; they
// listen on 127.0.0.1 only.

const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');

const { said } = require('./machine.js');
const { SERVER, CLIENT, descriptors, start, serve, stop, tree } = require('./processes.js');

const CONNECTIONS = Math.min(16000, Math.floor((descriptors() - 200) / 2)); // two sockets each
const isRoot = process.getuid() === 0;

// `file` makes its configuration, `words` start it with that. `version` is what it says of itself.
const PROXIES = {
  proxy: {
    title: 'securepair', command: (kit) => path.join(kit.build, 'examples/proxy'),
    words: (kit, { port, backend, key }) => [
      path.join(kit.build, 'examples/proxy'), port, '127.0.0.1', backend, key.key, key.cert,
    ],
    version: (kit) => said('git', '-C', kit.root, 'describe', '--always', '--dirty', '--tags'),
    settings: 'examples/proxy.c',
  },
  nginx: {
    title: 'nginx', command: () => '/usr/sbin/nginx',
    file: ({ folder, port, backend, key }) => `
${isRoot ? 'user root;' : ''}
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/nginx.log error;
${nginxModule()}
events { worker_connections ${2 * CONNECTIONS}; }
stream {
  server {
    listen 127.0.0.1:${port} ssl backlog=4096;
    ssl_certificate ${key.cert};
    ssl_certificate_key ${key.key};
    ssl_protocols TLSv1.3;
    ssl_ecdh_curve X25519;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;
    ssl_conf_command NumTickets 1;
    ssl_session_cache none;
    tcp_nodelay on;
    proxy_pass 127.0.0.1:${backend};
  }
}
`,
    words: (kit, { path: file, folder }) => ['/usr/sbin/nginx', '-p', folder, '-e', `${folder}/nginx.log`, '-c', file],
    version: () => said('/usr/sbin/nginx', '-v'),
    settings: 'stream module, one worker, one ticket, no session cache',
  },
  haproxy: {
    title: 'HAProxy', command: () => '/usr/sbin/haproxy',
    file: ({ port, backend, key }) => `
global
  nbthread 1
  maxconn ${CONNECTIONS}
  tune.ssl.cachesize 0
defaults
  mode tcp
  timeout connect 10s
  timeout client 10m
  timeout server 10m
listen tls
  bind 127.0.0.1:${port} backlog 4096 ssl crt ${key.both} curves X25519 ciphersuites TLS_AES_128_GCM_SHA256 ssl-min-ver TLSv1.3
  server backend 127.0.0.1:${backend}
`,
    words: (kit, { path: file }) => ['/usr/sbin/haproxy', '-db', '-f', file],
    version: () => said('/usr/sbin/haproxy', '-v'),
    settings: 'tcp mode, one thread, no session cache; it always sends two tickets',
  },
  hitch: {
    title: 'hitch', command: () => '/usr/sbin/hitch',
    file: ({ port, backend, key }) => `
frontend = { host = "127.0.0.1" port = "${port}" }
backend = "[127.0.0.1]:${backend}"
workers = 1
backlog = 4096
pem-file = "${key.both}"
tls-protos = TLSv1.3
ciphersuites = "TLS_AES_128_GCM_SHA256"
ecdh-curve = "X25519"
ocsp-dir = ""
daemon = off
quiet = on
keepalive = 3600
${isRoot ? 'user = "nobody"' : ''}
`,
    words: (kit, { path: file }) => ['/usr/sbin/hitch', '--config', file],
    version: () => said('/usr/sbin/hitch', '--version'),
    settings: 'one worker; it always sends two tickets',
  },
  stunnel: {
    title: 'stunnel', command: () => '/usr/bin/stunnel4',
    file: ({ port, backend, key }) => `
foreground = yes
pid =
debug = err
syslog = no
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[tls]
accept = 127.0.0.1:${port}
connect = 127.0.0.1:${backend}
cert = ${key.cert}
key = ${key.key}
sslVersion = TLSv1.3
ciphersuites = TLS_AES_128_GCM_SHA256
curves = X25519
`,
    words: (kit, { path: file }) => ['/usr/bin/stunnel4', file],
    version: () => said('/usr/bin/stunnel4', '-version'),
    settings: 'a thread for each connection; it always sends two tickets',
  },
};

PROXIES['proxy-again'] = { ...PROXIES.proxy, title: 'securepair again', settings: 'a second process of the same program' };

// Debian's nginx has its stream module in a file; others have it built in.
function nginxModule() {
  const file = '/usr/lib/nginx/modules/ngx_stream_module.so';
  return fs.existsSync(file) ? `load_module ${file};` : '';
}

const freePort = () =>
  new Promise((resolve, reject) => {
    const server = net.createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

const answers = (port) =>
  new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });

async function untilItListens(child, port, title) {
  let end;
  child.ended.then((value) => (end = value));
  for (let tries = 0; tries < 2000; tries++) {
    if (end !== undefined) throw new Error(`${title} did not start (${end}): ${child.said.trim()}`);
    if (await answers(port)) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`${title} does not listen`);
}

async function startBackend(kit) {
  const { child, line } = await serve([kit.program('backend')], { core: CLIENT });
  child.endsWithInput = true;
  return { port: Number(line), stop: () => stop(child) };
}

// what: { key: 'ecdsa', backend: the plain server's port }
async function startProxy(kit, name, { key, backend }) {
  const proxy = PROXIES[name];
  const port = await freePort();
  const setup = { port, backend, key: kit.keys[key], folder: kit.folder, path: path.join(kit.folder, `${name}.conf`) };
  if (proxy.file) fs.writeFileSync(setup.path, proxy.file(setup));
  const child = start(proxy.words(kit, setup), { core: SERVER, env: { LD_PRELOAD: kit.preload } });
  child.stdout.resume();
  try {
    await untilItListens(child, port, proxy.title);
  } catch (error) {
    await stop(child);
    throw error;
  }
  return { name, port, pids: () => tree(child.pid), stop: () => stop(child, 6) };
}

module.exports = { PROXIES, startProxy, startBackend };
