import type { Exchange } from './exchange.ts'
import type { HeaderList } from './header-list.ts'

/** A request that is to be sent once more. */
export interface MirroredRequest {
  readonly headers: HeaderList
  /** Whole; null: it has none. */
  readonly body: Buffer | null
}

/** Where copies of requests go: of a service or a route, kept over snapshots. */
export interface Mirroring {
  /** As people know the destination. */
  readonly destination: string
  /** In percent. */
  readonly percent: number
  /** Of the longest body that is copied. */
  readonly bodyBytes: number
  /** False: as many are under way as may be, and it is counted. */
  hasRoom(): boolean
  /** Its body is too long, which is counted. */
  tooLong(): void
  /** Sends a copy, and returns at once. */
  send(exchange: Exchange, copy: MirroredRequest): MirrorCopy
}

/** A copy that was sent. */
export interface MirrorCopy {
  /** How the request itself has ended. */
  originalEnded(status: number, tookMs: number): void
}
