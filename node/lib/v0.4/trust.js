'use strict';
// In v0.4 a client never rejects: the program has to look at `authorized`. One that does not, and
// moves data all the same, is told so once in a process.

let warned = false;

function warn(stream) {
  if (warned) return;
  warned = true;
  process.emitWarning(
    `data moves over a TLS stream that is not authorized (${stream._verdict().why}), and ` +
    'nobody looked at its `authorized`', 'SecurityWarning', 'SECUREPAIR_UNAUTHORIZED');
}

function moved(stream) {
  if (!stream._verdict().looked) warn(stream);
  unwatch(stream);
}

function unwatch(stream) {
  for (const name of Object.keys(WATCHED)) delete stream[name];
}

function inherited(stream, name) {
  return Object.getPrototypeOf(stream)[name];
}

// In front of the stream's own methods for as long as nothing has moved.
const WATCHED = {
  _write(chunk, encoding, callback) {
    moved(this);
    return inherited(this, '_write').call(this, chunk, encoding, callback);
  },
  _writev(chunks, callback) {
    moved(this);
    return inherited(this, '_writev').call(this, chunks, callback);
  },
  push(chunk, encoding) {
    if (chunk !== null) moved(this);
    return inherited(this, 'push').call(this, chunk, encoding);
  },
};

/** Warns when data moves over `stream`, which is not authorized, before somebody looked. */
function watch(stream) {
  if (warned || stream._verdict().looked) return;
  Object.assign(stream, WATCHED);
  // What was written before the handshake is on its way once the program's callback was called.
  process.nextTick(() => {
    const { bytesWritten = 0, _handle: handle } = stream;
    if (bytesWritten > 0 || handle?.writeQueueSize > 0) moved(stream);
  });
}

module.exports = { watch };
