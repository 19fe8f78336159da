'use strict';
// The option `onread`: cleartext goes into a buffer of the program's.

const is = require('./symbols');

function onreadOf({ buffer, callback }) {
  const generated = typeof buffer === 'function';
  if ((!generated && !(buffer instanceof Uint8Array)) || typeof callback !== 'function') return null;
  return { next: generated ? buffer : () => buffer, callback, rest: null };
}

/** Cleartext for a program that gave its own buffer (option `onread`); false: it wants no more. */
function fillOnread(socket, bytes) {
  const onread = socket[is.onread];
  let rest = bytes;
  while (rest.length > 0 && !socket.destroyed) {
    const room = onread.next();
    const n = Math.min(rest.length, room.length);
    room.set(rest.subarray(0, n));
    rest = rest.subarray(n);
    if (onread.callback(n, room) === false) {
      onread.rest = rest.length > 0 ? Buffer.from(rest) : null;
      return false;
    }
  }
  return true;
}

function resumeOnread(socket) {
  const onread = socket[is.onread];
  const { rest } = onread;
  onread.rest = null;
  if (rest && !fillOnread(socket, rest)) return;
  socket._read();
}

module.exports = { onreadOf, fillOnread, resumeOnread };
