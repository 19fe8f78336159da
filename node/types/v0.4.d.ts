/// <reference types="node" />
// The module as it was in Node v0.4.

import { EventEmitter } from 'events';
import * as net from 'net';
import { Duplex } from 'stream';

/** PEM: one text, or several. */
export type Pem = string | Buffer;

export interface CredentialsOptions {
  /** The private key. */
  key?: Pem;
  /** Its certificate; may be followed by the chain. */
  cert?: Pem;
  /** Trusted certificates. Absent: the well-known roots; empty: nobody is trusted. */
  ca?: Pem | Pem[];
  /** Revocation lists. */
  crl?: Pem | Pem[];
  passphrase?: string;
  secureProtocol?: string;
  ciphers?: string;
}

export interface Credentials {
  readonly context: unknown;
}

export interface ConnectOptions extends CredentialsOptions {
  servername?: string;
  /** `false`: as in v0.4, the name in the certificate is not looked at. */
  checkServerIdentity?: boolean;
}

export interface ServerOptions extends CredentialsOptions {
  /** Clients are asked for a certificate. Default: false. */
  requestCert?: boolean;
  /** Clients that are not authorized are refused; needs `requestCert`. Default: false. */
  rejectUnauthorized?: boolean;
}

export interface PeerCertificate {
  subject: Record<string, string>;
  issuer: Record<string, string>;
  valid_from: string;
  valid_to: string;
  fingerprint: string;
  subjectaltname?: string;
  ext_key_usage?: string[];
}

/** What the program reads and writes. */
export interface CleartextStream extends Duplex {
  /** Whether the peer's certificate is vouched for. */
  authorized: boolean;
  /** Why it is not; absent when it is. */
  authorizationError?: string;
  /** What carries it; for a pair of createSecurePair, what the program puts there. */
  socket: net.Socket;
  encrypted: EncryptedStream;
  readonly pair: SecurePair;
  readonly readyState: string;
  /** Whether the peer went without a close_notify. */
  readonly truncated: boolean;
  /** The peer's certificate; an empty object if there is none. */
  getPeerCertificate(): PeerCertificate | Record<string, never>;
  getCipher(): { name: string; version: string } | null;
  destroySoon(): void;
  setTimeout(milliseconds: number, callback?: () => void): this;
  setNoDelay(noDelay?: boolean): this;
  setKeepAlive(enable?: boolean, initialDelay?: number): this;
}

/** What goes to the network and comes from it. Data passes it only in a pair of createSecurePair. */
export interface EncryptedStream extends Duplex {
  readonly pair: SecurePair;
  readonly readyState: string;
  destroySoon(): void;
}

/** The TLS connection of a pair. */
export interface Connection {
  /** null when the peer is authorized, else the name of the reason. */
  verifyError(): string | null;
  isInitFinished(): boolean;
  getPeerCertificate(): PeerCertificate | Record<string, never>;
  getCurrentCipher(): { name: string; version: string } | null;
  getSession(): Buffer | null | undefined;
  isSessionReused(): boolean | null;
}

export interface SecurePair extends EventEmitter {
  readonly credentials: Credentials;
  readonly cleartext: CleartextStream;
  readonly encrypted: EncryptedStream;
  readonly ssl: Connection;
  readonly _ssl: Connection;
  destroy(): void;
  on(event: 'secure', listener: () => void): this;
  on(event: string, listener: (...args: any[]) => void): this;
  once(event: 'secure', listener: () => void): this;
  once(event: string, listener: (...args: any[]) => void): this;
}

export type SecureListener = (cleartext: CleartextStream, encrypted: EncryptedStream) => void;

export class Server extends net.Server {
  constructor(options?: ServerOptions, listener?: SecureListener);
  constructor(listener: SecureListener);
  /** How many connections live now. */
  readonly connections: number;
  setOptions(options: ServerOptions): void;
  addContext(name: string, credentials: Credentials | CredentialsOptions): void;
  on(event: 'secureConnection', listener: SecureListener): this;
  on(event: string, listener: (...args: any[]) => void): this;
  once(event: 'secureConnection', listener: SecureListener): this;
  once(event: string, listener: (...args: any[]) => void): this;
}

export function createServer(options?: ServerOptions, listener?: SecureListener): Server;
export function createServer(listener: SecureListener): Server;

/** The path of a Unix socket may stand in the place of the port. */
type Port = number | string;

/** The callback is called whether or not the server was authorized: look at `authorized`. */
export function connect(port: Port, callback?: () => void): CleartextStream;
export function connect(port: Port, options: ConnectOptions,
                        callback?: () => void): CleartextStream;
export function connect(port: Port, host: string, callback?: () => void): CleartextStream;
export function connect(port: Port, host: string, options: ConnectOptions,
                        callback?: () => void): CleartextStream;

export function createSecurePair(credentials?: Credentials, isServer?: boolean,
                                 requestCert?: boolean, rejectUnauthorized?: boolean): SecurePair;
export function createCredentials(options?: CredentialsOptions): Credentials;
