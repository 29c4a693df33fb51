import type { Clock, Random, Timer } from '../core/clock.ts'
import type { Codec } from '../core/codec.ts'
import { type Failure, failures } from '../core/failure.ts'
import type { Dial, Wire } from '../core/wire.ts'
import { ITSELF } from './not-itself.ts'

export interface PoolDeps {
  readonly clock: Clock
  readonly random: Random
  readonly dial: Dial
  readonly codec: Pick<Codec, 'connect'>
}

/** Who wants the connection. */
export interface Dialer {
  dialed(attempt: DialAttempt, wire: Wire): void
  dialFailed(attempt: DialAttempt, failure: Failure, detail: string): void
}

/** A connection being made. */
export class DialAttempt {
  readonly #timer: Timer
  readonly #cancel: () => void

  constructor(pool: Dialer, deps: Pick<PoolDeps, 'clock' | 'dial'>, address: string, port: number, timeoutMs: number) {
    this.#timer = deps.clock.timer(() => {
      this.#cancel()
      pool.dialFailed(this, failures.connectTimeout, `no connection within ${timeoutMs} ms`)
    })
    if (timeoutMs > 0) this.#timer.arm(timeoutMs)
    this.#cancel = deps.dial(address, port, {
      connected: wire => {
        this.#timer.cancel()
        pool.dialed(this, wire)
      },
      failed: code => {
        this.#timer.cancel()
        pool.dialFailed(this, failureOf(code), code)
      },
    })
  }

  /** Nobody wants it any more, and nobody is told. */
  cancel(): void {
    this.#timer.cancel()
    this.#cancel()
  }
}

/** The system's word for what this machine lacks: it says nothing of the endpoint. */
const OURS = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL', 'EADDRINUSE'])

function failureOf(code: string): Failure {
  if (code.startsWith(ITSELF)) return failures.connectToItself
  if (code === 'ECONNREFUSED') return failures.connectRefused
  return OURS.has(code) ? failures.connectLocal : failures.connectFailed
}
