import type { ServerDuplexStream } from '@grpc/grpc-js'

/** Written to one proxy and not read by it: more waits here, as names of services, until it has read. */
const HIGH_WATER_BYTES = 256 * 1024

/**
 * What is written to one proxy. It holds at most one message more than the high-water mark: what changes meanwhile is
 * only remembered by name, and the newest is written when there is room.
 */
export interface Outbox {
  /** Whether there is room. */
  hasRoom(): boolean
  /** An encoded message. */
  send(message: Buffer): void
  /** Since when it has read nothing although something waits for it; null: nothing waits. */
  stalledSince(): number | null
}

export function outboxOf(call: ServerDuplexStream<unknown, unknown>, onRoom: () => unknown): Outbox {
  let waiting = 0
  let since: number | null = null
  return {
    hasRoom: () => waiting < HIGH_WATER_BYTES,
    stalledSince: () => since,
    send(message) {
      const wasFull = waiting >= HIGH_WATER_BYTES
      waiting += message.length
      since ??= Date.now()
      call.write(message, () => {
        waiting -= message.length
        since = waiting === 0 ? null : Date.now()
        if (waiting < HIGH_WATER_BYTES && (wasFull || waiting + message.length >= HIGH_WATER_BYTES)) onRoom()
      })
    },
  }
}
