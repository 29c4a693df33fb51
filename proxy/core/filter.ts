import type { Exchange } from './exchange.ts'
import type { Failure } from './failure.ts'
import type { ResponseHead } from './message.ts'

/** An answer made by the proxy itself. */
export interface LocalReply {
  readonly status: number
  readonly body: string
  readonly contentType: string
  readonly failure: Failure | null
}

/** Undefined: go on. A reply: stop here and answer with it. */
export type Verdict = LocalReply | undefined

/** A step that may look at, change or answer an exchange. */
export interface Filter {
  readonly name: string
  /** In order. A filter that needs no I/O returns a plain Verdict and costs no promise. */
  onRequest?(exchange: Exchange): Verdict | Promise<Verdict>
  /** In reverse order, before the final response head is written; local replies too. */
  onResponse?(exchange: Exchange, response: ResponseHead): void
  /** In reverse order, exactly once, however the exchange ended: release permits here. */
  onComplete?(exchange: Exchange): void
}
