import type { WrittenNames } from '../../core/message.ts'

/** What sidecars say to each other in a head: one value of the head, used again for the next one. */
export class HopFields {
  /** How its names were written, when a sidecar before us had it by HTTP/1.1. */
  names: WrittenNames | null = null
  /** The reason phrase it had there; null: the usual one. */
  reason: string | null = null
  /** Of a response (`ResponseHead.ownFailure`): believed only where the peer is a sidecar. */
  ownFailure = ''
  /** Of a request (`RequestHead.source`). */
  source = ''

  clear(): void {
    this.names = null
    this.reason = null
    this.ownFailure = ''
    this.source = ''
  }
}
