import type { UpstreamConnection } from '../core/codec.ts'

/** A connection with many streams, as a pool keeps it. */
export interface Carrier {
  readonly connection: UpstreamConnection
  /** When its last stream ended. */
  idleSince: number
  /** Gets no more streams and closes as its last one ends: it is old, or its permit is needed elsewhere. */
  leaving: boolean
  /** When it is too old; `Infinity`: never. */
  readonly due: number
}

export function isIdle({ connection }: Carrier): boolean {
  return connection.active === 0
}
