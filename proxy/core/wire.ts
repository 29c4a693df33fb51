import type { AddressSpec } from '../../mesh-config/snapshot.ts'
import type { Account, Holding, Ledger } from './ledger.ts'
import type { Turns } from './turn.ts'

/**
 * A byte stream in both directions: made by proxy/system/ from net, tls or memory. Codecs know nothing else of sockets.
 */
export interface Wire {
  readonly peer: Peer
  /**
   * Of an accepted connection, before anything else is asked of it: the address that it was made to, where a redirect
   * sent it here; null: none did. From then on `peer` has it.
   */
  original(): Original | null
  handler: WireHandler | null
  /**
   * What may be held of this connection in one direction: the high watermark and the size of a read are each a quarter
   * of it.
   */
  bufferBytes: number
  /** Of the data thread it belongs to. */
  readonly turns: Turns
  /** Of the same; set before the wire has a handler. */
  ledger: Ledger
  /**
   * What is held for this connection: the wire counts what it has not sent, others what they keep. Made when first
   * asked for.
   */
  readonly account: Account
  /**
   * False: above the high watermark; `handler.drained` follows. The bytes must not change until they have left, with
   * two exceptions that the wire looks after: a view of what `handler.bytes` was given, and of `scratch`.
   */
  write(bytes: Buffer): boolean
  /** Both in one system call. */
  writeTwo(first: Buffer, second: Buffer): boolean
  /**
   * At least 64 KiB to write a head into; good until the `write` that sends it returns. All wires of a thread may share
   * one.
   */
  scratch(): Buffer
  /** Half-close after what was written. */
  end(): void
  /** Close at once, dropping what was not sent; `handler.closed` follows. */
  destroy(): void
  /**
   * As `destroy`, and visibly to the peer (TCP RST): for a message cut short that a plain end would make look whole.
   */
  reset(): void
  pause(): void
  resume(): void
  /** Bytes written that have not left. */
  readonly unsent: number
  /**
   * How many bytes of a body are about to come: 0 for heads, Infinity when not known. The wire reads into a buffer of
   * fitting size.
   */
  expect(bytes: number): void
}

/** As large as the smallest buffer a wire reads into. */
const WHOLE_READ = 64 * 1024

/**
 * What to tell a wire whose peer has not said how much will come, after a read of `length` bytes into a buffer of
 * `room`. One that filled its buffer left more behind; one that did not emptied the socket and may be the last for
 * hours: the next goes into the buffer that all share, so that a silent connection holds none.
 */
export function nextRead(length: number, room: number): number {
  return length === room && length >= WHOLE_READ ? Number.POSITIVE_INFINITY : 0
}

export interface WireHandler {
  /** `chunk[0..length)` was read. The buffer is reused after the call returns: copy what you keep. */
  bytes(chunk: Buffer, length: number): void
  /** All that was written has left; only after a `write` that returned false. */
  drained(): void
  /** The peer has half-closed. */
  ended(): void
  /** Exactly once, the last call. */
  closed(error: Error | null): void
  /**
   * The data thread holds too much, and this connection more than others: what runs on it fails. Without this method
   * the connection is reset.
   */
  overflow?(detail: string): void
  /** Of a connection with several streams: adds what could be given up by itself. */
  holdings?(account: Account, list: Holding[]): void
}

export interface Peer {
  readonly address: string
  readonly port: number
  /** Where it is connected to here; of a redirected connection, the address that it was made to. */
  readonly local: string
  readonly localPort: number
  /** Of a connection that was redirected here: the address that it was made to. Absent: it came by itself. */
  readonly original?: Original
  /** Who it is by its certificate, which was verified. Absent: it was not asked for one. */
  readonly identity?: PeerIdentity
  /** The version of TLS: `TLSv1.3`. Absent: it is plain. */
  readonly tls?: string
  /** The protocol that its handshake agreed on (ALPN): `h2`, `http/1.1`. Absent: there was none. */
  readonly alpn?: string
}

export interface PeerIdentity {
  /** Such as a SPIFFE ID; empty: its certificate has none, or several. */
  readonly uri: string
  /** The distinguished name, as RFC 4514 writes it. */
  readonly subject: string
  /** SHA-256 of the certificate, in hexadecimal digits. */
  readonly fingerprint: string
}

/** The address that a redirected connection was made to. */
export interface Original extends AddressSpec {
  /** `address:port`, as endpoints are named. */
  readonly name: string
}

/**
 * Opens a connection; `connected` or `failed` is called once, later, unless the returned function cancelled it before.
 */
export type Dial = (address: string, port: number, listener: DialListener) => () => void

export interface DialListener {
  connected(wire: Wire): void
  /** The system's error code: `ECONNREFUSED`, `EHOSTUNREACH` ...; or `TLS_FAILED` and why. */
  failed(code: string): void
}

/** What `DialListener.failed` is told before the reason, where a connection was made and its handshake failed. */
export const TLS_FAILED = 'TLS: '

/** How connections speak TLS. Certificates and keys are PEM. */
export interface TlsOptions {
  /** Null: the authorities that the system trusts. */
  readonly ca: string | null
  readonly cert: string | null
  readonly key: string | null
  /** The name in the certificate of the endpoint, and that it is asked for (SNI); null: its address. */
  readonly serverName: string | null
  readonly minVersion: '1.2' | '1.3'
  /** In order of preference; empty: none is offered. */
  readonly alpn: readonly string[]
}

/** Throws where the certificates are not usable. */
export type MakeTlsDial = (options: TlsOptions) => Dial

/** How callers are spoken TLS with. */
export interface TlsServerOptions {
  /** Of their certificates: a caller without one is refused. Null: they are not asked for one. */
  readonly ca: string | null
  readonly cert: string
  readonly key: string
  readonly minVersion: '1.2' | '1.3'
  readonly alpn: readonly string[]
  /** Tickets of sessions are encrypted with what comes of it: the same for all data threads. */
  readonly ticketSecret: string
}

/**
 * Puts TLS over a connection that was accepted, paused, and has sent `bytes`: the wire is given away. Returns what gives
 * the handshake up.
 */
export type SecureWire = (wire: Wire, bytes: Buffer, handshake: TlsHandshake) => () => void

export interface TlsHandshake {
  done(wire: Wire): void
  /** Why; the connection is closed. */
  failed(reason: string): void
}

/** Throws where the certificate is not usable. */
export type MakeTlsServer = (options: TlsServerOptions) => SecureWire

/** A port that accepts. */
export interface Acceptor {
  readonly port: number
  /** Of its listening sockets, for a process that is to take them over; absent: the system does not tell. */
  readonly descriptors?: readonly number[]
  /** Stops accepting, at once; connections that are open stay. */
  close(): void
}

/**
 * Resolves when the port accepts; rejects with the system's error (EADDRINUSE ...). `onError`: of an open port. `name`:
 * of the listener it is for.
 */
export type Listen = (
  address: AddressSpec,
  onWire: (wire: Wire) => void,
  onError: (error: Error) => void,
  name?: string,
) => Promise<Acceptor>
