import type { Random } from '../core/clock.ts'
import type { Exchange } from '../core/exchange.ts'
import { failures } from '../core/failure.ts'
import type { Filter, LocalReply } from '../core/filter.ts'
import { problemBody } from '../core/problem.ts'
import { add, type Counter } from '../core/telemetry.ts'

const NAME = 'overload'
/** When a caller that was refused may come again. */
const RETRY_AFTER_SECONDS = '1'

/** How much of the requests a data thread sheds now; runtime/overload.ts says so. */
export class Shedding {
  /** 0: none, 1: all. */
  share = 0
  /** What is short. */
  reason = ''
  readonly #shed: Counter
  readonly #random: Random

  constructor(shed: Counter, random: Random) {
    this.#shed = shed
    this.#random = random
  }

  /** Undefined: it goes on. */
  take(exchange: Exchange): LocalReply | undefined {
    if (this.#random() >= this.share) return undefined
    add(this.#shed, 1)
    return this.refuse(exchange)
  }

  refuse(exchange: Exchange): LocalReply {
    const failure = failures.overloaded
    exchange.detail = this.reason
    return {
      status: failure.httpStatus,
      headers: [
        'content-type',
        'application/problem+json',
        'retry-after',
        RETRY_AFTER_SECONDS,
        'x-outrigger-overloaded',
        'true',
      ],
      body: problemBody(failure, this.reason, exchange.requestId, ''),
      failure,
    }
  }
}

/**
 * The first filter of a listener, and behind it the refusal of what a data thread cannot do. They are one filter because
 * every request passes here: one look at a number is all that it costs.
 */
export function overload(shedding: Shedding, first: Required<Pick<Filter, 'onRequest'>>): Filter {
  return {
    name: NAME,
    onRequest(exchange, slot) {
      const verdict = first.onRequest(exchange, slot)
      return shedding.share === 0 ? verdict : shedding.take(exchange)
    },
    preview(exchange, slot) {
      const verdict = first.onRequest(exchange, slot)
      if (shedding.share === 0) return verdict
      exchange.decision.note(NAME, `${Math.round(shedding.share * 100)} % of the requests are shed: ${shedding.reason}`)
      return shedding.share >= 1 ? shedding.refuse(exchange) : undefined
    },
  }
}
