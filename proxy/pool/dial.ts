import type { Clock, Timer } from '../core/clock.ts'
import { type Failure, failures } from '../core/failure.ts'
import { TLS_FAILED, type Wire } from '../core/wire.ts'
import { ITSELF } from './not-itself.ts'
import type { Transport } from './transport.ts'

/** The pool that wants the connection. */
export interface Dialer {
  dialed(attempt: DialAttempt, wire: Wire): void
  dialFailed(attempt: DialAttempt, failure: Failure, detail: string): void
}

/** What a connection is made to, and how. */
export interface DialTarget {
  readonly address: string
  readonly port: number
  readonly transport: Transport
  readonly connectTimeoutMs: number
}

/** A connection being made. */
export class DialAttempt {
  readonly transport: Transport
  readonly #timer: Timer
  readonly #cancel: () => void

  constructor(dialer: Dialer, clock: Clock, { address, port, transport, connectTimeoutMs }: DialTarget) {
    this.transport = transport
    this.#timer = clock.timer(() => {
      this.#cancel()
      dialer.dialFailed(this, failures.connectTimeout, `no connection within ${connectTimeoutMs} ms`)
    })
    if (connectTimeoutMs > 0) this.#timer.arm(connectTimeoutMs)
    this.#cancel = transport.dial(address, port, {
      connected: wire => {
        this.#timer.cancel()
        dialer.dialed(this, wire)
      },
      failed: code => {
        this.#timer.cancel()
        dialer.dialFailed(this, failureOf(code), code.startsWith(TLS_FAILED) ? code.slice(TLS_FAILED.length) : code)
      },
    })
  }

  /** It is no longer wanted, and its owner is not told. */
  cancel(): void {
    this.#timer.cancel()
    this.#cancel()
  }
}

/** The system's word for what this machine lacks: it says nothing of the endpoint. */
const OURS = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL', 'EADDRINUSE'])

/** Both are a reset in answer to the dial; ECONNRESET where the process ended with the connection in its backlog. */
const REFUSED = new Set(['ECONNREFUSED', 'ECONNRESET'])

function failureOf(code: string): Failure {
  if (code.startsWith(ITSELF)) return failures.connectToItself
  if (code.startsWith(TLS_FAILED)) return failures.tlsFailed
  if (REFUSED.has(code)) return failures.connectRefused
  return OURS.has(code) ? failures.connectLocal : failures.connectFailed
}
