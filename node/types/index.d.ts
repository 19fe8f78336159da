/// <reference types="node" />
// The module of today: all that @types/node says of `tls`, and what securepair adds to it.

import * as tls from 'tls';

declare module 'tls' {
  interface TLSSocket {
    /**
     * Whether the connection ended without the peer's close_notify: what was read may not be all that
     * was sent. `end` comes all the same; with `strictEOF` an error of the code ERR_TLS_TRUNCATED does.
     */
    readonly truncated: boolean;
  }
  interface CommonConnectionOptions {
    /** A connection that ends without a close_notify is an error. Default: false. */
    strictEOF?: boolean | undefined;
    /**
     * Whether renegotiation (TLS 1.2) is possible: renegotiate() on this side, and
     * `CLIENT_RENEG_LIMIT` in `CLIENT_RENEG_WINDOW` seconds by the peer. Default: of clients true,
     * of servers false.
     */
    renegotiation?: boolean | undefined;
  }
}

/** What the errors of securepair carry besides Node's properties. */
export interface TlsError extends NodeJS.ErrnoException {
  /** A sentence for a person: what happened, and what to do about it. */
  explanation?: string;
  /** OpenSSL's words for it, as Node's errors have them. */
  library?: string;
  reason?: string;
}

export * from 'tls';
export default tls;
