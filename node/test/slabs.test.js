'use strict';
// The memory that chunks of cleartext are made of comes and goes by tens of megabytes. Its pages
// stay. (glibc's malloc is what this is about; others give back in their own ways.)

const assert = require('node:assert');
const { test } = require('node:test');
const { runProgram } = require('./support/child');
const { sanitized } = require('./support/memory');

const PAGE = 4096;
const WARM = 512 * 1024 * 1024;
const MEASURED = 256 * 1024 * 1024;

const program = `
  const block = Buffer.alloc(65536);
  const faults = () => process.resourceUsage().minorPageFault;
  let received = 0, before = 0;
  const server = kit.listen({}, (socket) => socket.pipe(socket), (port) => {
    const client = kit.connect(port);
    const fill = () => { while (client.write(block)); };
    client.on('secureConnect', fill).on('drain', fill).on('data', (chunk) => {
      received += chunk.length;
      if (!before && received > ${WARM}) before = faults();
      if (received > ${WARM + MEASURED}) {
        console.log(faults() - before);
        process.exit();
      }
    });
  });
`;

// Another allocator has other habits.
test('bytes that stream by do not have the heap grow and shrink', { skip: sanitized }, async () => {
  const { status, stdout, stderr } = await runProgram(program);
  assert.strictEqual(status, 0, stderr);
  const pages = MEASURED / PAGE;
  const said = `${stdout.trim()} page faults for ${pages} pages of chunks`;
  assert.ok(Number(stdout) < pages / 64, said);
});
