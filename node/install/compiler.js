'use strict';
// The C compiler and how it is called.

const { spawnSync } = require('node:child_process');
const { Missing, Problem } = require('./problem');

const COMPILERS = ['cc', 'gcc', 'clang'];

const COMPILE = ['-std=gnu11', '-O2', '-g', '-fPIC', '-fvisibility=hidden', '-pthread',
                 '-D_GNU_SOURCE', '-DNAPI_VERSION=8'];
// Only what node asks for is shown: two copies of the module in one process keep apart.
const LINK = ['-shared', '-pthread', '-Wl,-z,relro', '-Wl,-z,now', '-Wl,-z,noexecstack',
              `-Wl,--version-script=${__dirname}/exports.map`];

// SECURITY.md, "The build". Not every processor has all of them.
const HARDENING = ['-fstack-protector-strong', '-fstack-clash-protection', '-fcf-protection'];
const FORTIFY = ['-U_FORTIFY_SOURCE', '-D_FORTIFY_SOURCE=2'];
// Fortified functions hide from the sanitizers what they do.
const SANITIZE = {
  '': FORTIFY,
  address: ['-fsanitize=address,undefined', '-fno-sanitize-recover=all',
            '-fno-omit-frame-pointer'],
};

// Whether it compiles an empty file with these options.
function accepts(command, options) {
  const { status } = spawnSync(command[0],
    [...command.slice(1), '-Werror', ...options, '-x', 'c', '-c', '-o', '/dev/null', '-'],
    { input: '#include <stddef.h>\nint x;\n', stdio: ['pipe', 'ignore', 'ignore'] });
  return status === 0;
}

const words = (name) => (process.env[name] || '').split(/\s+/).filter(Boolean);

// $CC may hold options of its own ("ccache gcc -m64").
function findCompiler() {
  const named = words('CC');
  const command = (named.length > 0 ? [named] : COMPILERS.map((name) => [name]))
    .find((one) => accepts(one, []));
  if (command) return command;
  throw new Missing(named.length > 0
    ? `the C compiler that CC names does not compile: ${process.env.CC}`
    : 'a C compiler with the C library\'s headers is missing: install one ' +
      '(Debian: gcc and libc6-dev, or build-essential)');
}

/**
 * { name, command, compile, link }: what to call, for each file and for all together. `sanitize` is
 * '' or 'address'; `headers` are options that find node's headers.
 */
function compilerFor(sanitize, headers) {
  if (!(sanitize in SANITIZE))
    throw new Problem(`SECUREPAIR_SANITIZE knows "address", not "${sanitize}"`);
  const command = findCompiler();
  const hardening = HARDENING.filter((flag) => accepts(command, [flag]));
  const shared = [...hardening, ...SANITIZE[sanitize]];
  return {
    name: command.join(' '),
    command,
    compile: [...COMPILE, ...shared, ...words('CFLAGS'), ...headers],
    link: [...LINK, ...shared, ...words('LDFLAGS')],
  };
}

module.exports = { compilerFor };
