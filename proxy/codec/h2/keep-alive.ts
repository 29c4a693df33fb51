import type { Guard, Http2Options } from './options.ts'
import { KEEP_ALIVE_PING } from './pings.ts'

/** What it needs of its connection. */
export interface KeepAliveHost {
  readonly options: Http2Options
  /** How often something was read. */
  readonly reads: number
  wake(at: number): void
  ping(kind: number): void
  tripped(guard: Guard, detail: string): void
  lost(detail: string): void
}

/** A PING when nothing has come for a while; no answer to it is the end. Made only where it is configured. */
export class KeepAlive {
  readonly #host: KeepAliveHost
  /** `reads` of the connection when it was looked at last, and since when it is that. */
  #reads = 0
  #quietSince: number
  /** 0: no PING is under way. */
  #pingedAt = 0

  constructor(host: KeepAliveHost, now: number) {
    this.#host = host
    this.#quietSince = now
    host.wake(now + host.options.keepAliveIntervalMs)
  }

  sweep(now: number): void {
    const host = this.#host
    const { keepAliveIntervalMs, keepAliveTimeoutMs } = host.options
    if (host.reads !== this.#reads) {
      this.#reads = host.reads
      this.#quietSince = now
      this.#pingedAt = 0
    }
    if (this.#pingedAt !== 0 && now - this.#pingedAt >= keepAliveTimeoutMs) {
      const detail = `no answer to a PING within ${keepAliveTimeoutMs} ms`
      host.tripped('keep-alive', detail)
      return host.lost(detail)
    }
    if (this.#pingedAt === 0 && now - this.#quietSince >= keepAliveIntervalMs) {
      this.#pingedAt = now
      host.ping(KEEP_ALIVE_PING)
    }
    host.wake(this.#pingedAt === 0 ? this.#quietSince + keepAliveIntervalMs : this.#pingedAt + keepAliveTimeoutMs)
  }
}
