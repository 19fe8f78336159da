'use strict';
// Names of what our objects keep for themselves.

const names = ['connectOptions', 'freshSession', 'held', 'identityHost', 'listener', 'nativePipe',
               'onread', 'queued', 'raw', 'renegotiated',
               'session', 'transport', 'wantsRead', 'write'];

module.exports = Object.fromEntries(names.map((name) => [name, Symbol(`securepair.${name}`)]));
