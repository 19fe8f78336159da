'use strict';
// Good TLS 1.2 records that the peer's own library would not send, made from its key log.

const { createCipheriv, createHmac } = require('node:crypto');

/** What both sides have to be given for it: the one cipher that is known here. */
const FORGEABLE = { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2',
                    ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' };

function hmac(key, ...parts) {
  const hash = createHmac('sha256', key);
  for (const part of parts) hash.update(part);
  return hash.digest();
}

// RFC 5246, section 5.
function expand(secret, seed, size) {
  const blocks = [];
  for (let a = hmac(secret, seed); blocks.length * 32 < size; a = hmac(secret, a))
    blocks.push(hmac(secret, a, seed));
  return Buffer.concat(blocks).subarray(0, size);
}

/**
 * The key and the fixed part of the nonce of one side (RFC 5246, section 6.3), from the line of the
 * key log and the ServerHello.
 */
function writeKeys(line, serverHello, isServer) {
  const [, clientRandom, master] = line.trim().split(' ').map((word) => Buffer.from(word, 'hex'));
  const serverRandom = serverHello.subarray(11, 43);
  const seed = Buffer.concat([Buffer.from('key expansion'), serverRandom, clientRandom]);
  const block = expand(master, seed, 40);
  const at = isServer ? [16, 36] : [0, 32];
  return { key: block.subarray(at[0], at[0] + 16), iv: block.subarray(at[1], at[1] + 4) };
}

const CLOSE_NOTIFY = Buffer.from([1, 0]);

/** The `sequence`th record (RFC 5288): application data, or CLOSE_NOTIFY. */
function forge({ key, iv }, sequence, content) {
  const type = content === CLOSE_NOTIFY ? 21 : 23;
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(BigInt(sequence));
  const inner = Buffer.from(content);
  const size = Buffer.alloc(2);
  size.writeUInt16BE(inner.length);
  const cipher = createCipheriv('aes-128-gcm', key, Buffer.concat([iv, number]));
  cipher.setAAD(Buffer.concat([number, Buffer.from([type, 3, 3]), size]));
  const sealed = Buffer.concat([number, cipher.update(inner), cipher.final(), cipher.getAuthTag()]);
  const header = Buffer.from([type, 3, 3, 0, 0]);
  header.writeUInt16BE(sealed.length, 3);
  return Buffer.concat([header, sealed]);
}

module.exports = { FORGEABLE, CLOSE_NOTIFY, writeKeys, forge };
