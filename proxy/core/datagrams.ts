import type { AddressSpec } from '../../mesh-config/snapshot.ts'

/** UDP as the name server needs it: made by proxy/system/, or in memory. */

/** A port that takes datagrams of anybody. */
export interface DatagramPort {
  readonly port: number
  /** Nothing is told of one that gets lost. */
  send(bytes: Uint8Array, to: AddressSpec): void
  close(): void
}

/** Resolves when the port is open; rejects with the system's error. `bytes` may be kept. */
export type OpenDatagrams = (
  address: AddressSpec,
  received: (bytes: Buffer, from: AddressSpec) => void,
  onError: (error: Error) => void,
) => Promise<DatagramPort>

/**
 * Sends one datagram from a port of its own, which the system draws at random, and passes on what that one peer sends
 * back, until the returned function is called. `failed`: the system's error code, at most once.
 */
export type AskByDatagram = (peer: AddressSpec, bytes: Uint8Array, listener: DatagramListener) => () => void

export interface DatagramListener {
  received(bytes: Buffer): void
  failed(code: string): void
}
