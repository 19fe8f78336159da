'use strict';
// What a pipe of v0.4 did and today's does not.

/** From a pipe between them on: when `from` closes before its end, `to` is destroyed. */
function follow(from, to) {
  const gone = () => {
    if (!from.readableEnded) to.destroy();
  };
  const unpiped = (source) => {
    if (source !== from) return;
    from.removeListener('close', gone);
    to.removeListener('unpipe', unpiped);
  };
  from.once('close', gone);
  to.on('unpipe', unpiped);
}

module.exports = { follow };
