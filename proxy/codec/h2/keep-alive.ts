import type { Http2Connection } from './connection.ts'
import { KEEP_ALIVE_PING } from './pings.ts'

/** A PING when nothing has come for a while; no answer to it is the end. Off unless configured. */
export class KeepAlive {
  readonly #connection: Http2Connection
  /** `reads` of the connection when it was looked at last, and since when it is that. */
  #reads = 0
  #quietSince = 0
  /** 0: no PING is under way. */
  #pingedAt = 0

  constructor(connection: Http2Connection) {
    this.#connection = connection
  }

  begin(now: number): void {
    const { keepAliveIntervalMs } = this.#connection.options
    this.#quietSince = now
    if (keepAliveIntervalMs > 0) this.#connection.wake(now + keepAliveIntervalMs)
  }

  sweep(now: number): void {
    const connection = this.#connection
    const { keepAliveIntervalMs, keepAliveTimeoutMs } = connection.options
    if (keepAliveIntervalMs === 0) return
    if (connection.reads !== this.#reads) {
      this.#reads = connection.reads
      this.#quietSince = now
      this.#pingedAt = 0
    }
    if (this.#pingedAt !== 0 && now - this.#pingedAt >= keepAliveTimeoutMs) {
      const detail = `no answer to a PING within ${keepAliveTimeoutMs} ms`
      connection.tripped('keep-alive', detail)
      return connection.lost(detail)
    }
    if (this.#pingedAt === 0 && now - this.#quietSince >= keepAliveIntervalMs) {
      this.#pingedAt = now
      connection.ping(KEEP_ALIVE_PING)
    }
    connection.wake(this.#pingedAt === 0 ? this.#quietSince + keepAliveIntervalMs : this.#pingedAt + keepAliveTimeoutMs)
  }
}
