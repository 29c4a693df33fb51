import type { Random } from '../core/clock.ts'
import type { Exchange } from '../core/exchange.ts'
import { failures } from '../core/failure.ts'
import type { Filter, LocalReply } from '../core/filter.ts'
import { priorities, priorityOf } from '../core/priority.ts'
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

  /** Of the requests that are as important as this one. */
  shareFor(exchange: Exchange): number {
    return ofPriority[priorityOf(exchange)]!(this.share)
  }

  /** Undefined: it goes on. */
  take(exchange: Exchange): LocalReply | undefined {
    if (this.#random() >= this.shareFor(exchange)) return undefined
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

/** By priority: half of the normal requests are shed when none of the low ones is left, and all high ones are. */
const ofPriority: readonly ((share: number) => number)[] = [
  share => Math.max(0, 2 * share - 1),
  share => share,
  share => Math.min(1, 2 * share),
]

/** The first filter of each route: refuses what a data thread cannot do. */
export function overload(shedding: Shedding): Filter {
  return {
    name: NAME,
    onRequest: exchange => (shedding.share === 0 ? undefined : shedding.take(exchange)),
    preview(exchange) {
      if (shedding.share === 0) return undefined
      const share = shedding.shareFor(exchange)
      const whose = exchange.route?.priority ? ` of ${priorities[priorityOf(exchange)]} priority` : ''
      exchange.decision.note(NAME, `${Math.round(share * 100)} % of the requests${whose} are shed: ${shedding.reason}`)
      return share >= 1 ? shedding.refuse(exchange) : undefined
    },
  }
}
