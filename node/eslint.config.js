'use strict';
// For ./run lint, which brings eslint from test/packages.

const { createRequire } = require('node:module');

const js = createRequire(`${__dirname}/test/packages/`)('@eslint/js');

const globals = ['AbortController', 'AbortSignal', 'Buffer', 'URL', '__dirname', '__filename',
                 'clearImmediate', 'clearTimeout', 'console', 'exports', 'fetch', 'gc', 'global',
                 'globalThis', 'module', 'performance', 'process', 'queueMicrotask', 'require',
                 'setImmediate', 'setInterval', 'clearInterval', 'setTimeout', 'structuredClone',
                 'TextEncoder', 'TextDecoder', 'MessageChannel', 'EventTarget', 'Event'];

module.exports = [
  { ignores: ['**/build*/**', '**/core/**', '**/node_modules/**', '**/seed-server.js'] },
  js.configs.recommended,
  {
    languageOptions: {
      ecmaVersion: 2022,
      sourceType: 'commonjs',
      globals: Object.fromEntries(globals.map((name) => [name, 'readonly'])),
    },
    rules: {
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-unused-vars': ['error', { args: 'after-used', caughtErrors: 'none',
                                    ignoreRestSiblings: true }],
      'no-var': 'error',
      'prefer-const': ['error', { destructuring: 'all' }],
      'no-control-regex': 'off',
      'no-prototype-builtins': 'off',
      strict: ['error', 'global'],
    },
  },
];
