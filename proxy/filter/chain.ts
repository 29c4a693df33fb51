import type { Exchange } from '../core/exchange.ts'
import type {
  Filter,
  FilterChain,
  Later,
  NextOfRequest,
  NextOfResponse,
  RequestSink,
  ResponseSink,
  Sinks,
  Verdict,
} from '../core/filter.ts'
import type { ResponseHead } from '../core/message.ts'
import { SinkList } from './sinks.ts'

/** A filter in one of its phases, and which of the chain it is. */
interface Step {
  readonly filter: Filter
  readonly at: number
}

/** Null where no filter has the phase: then it costs one look. */
type Phase = readonly Step[] | null

/** Every request looks into each filter of its chain. With more than four shapes V8 looks each field up by name. */
function ofOneShape({
  name,
  onRequest,
  preview,
  onDestination,
  request,
  onResponse,
  response,
  onComplete,
}: Filter): Filter {
  return { name, onRequest, preview, onDestination, request, onResponse, response, onComplete } as Filter
}

export class Chain implements FilterChain {
  /** Chains of listeners that have the same one have the same filters. */
  readonly key: string
  readonly hasSinks: boolean
  readonly #filters: readonly Filter[]
  /** So many of them are the listener's. */
  readonly #ofListener: number
  readonly #onDestination: Phase
  readonly #onResponse: Phase
  readonly #onComplete: Phase
  readonly #request: Phase
  readonly #response: Phase
  /** Lists that nothing was put into, for the next exchange. */
  #requestList: SinkList<RequestSink> | null = null
  #responseList: SinkList<ResponseSink> | null = null

  constructor(key: string, filters: readonly Filter[], ofListener = filters.length) {
    const phase = (steps: readonly Step[]): Phase => (steps.length === 0 ? null : steps)
    const shapely = filters.map(ofOneShape)
    const steps = shapely.map((filter, at) => ({ filter, at }))
    const backwards = steps.toReversed()
    this.key = key
    this.#filters = shapely
    this.#ofListener = ofListener
    this.#onDestination = phase(steps.filter(({ filter }) => filter.onDestination !== undefined))
    this.#onResponse = phase(backwards.filter(({ filter }) => filter.onResponse !== undefined))
    this.#onComplete = phase(backwards.filter(({ filter }) => filter.onComplete !== undefined))
    this.#request = phase(steps.filter(({ filter }) => filter.request !== undefined))
    this.#response = phase(backwards.filter(({ filter }) => filter.response !== undefined))
    this.hasSinks = this.#request !== null || this.#response !== null
  }

  /** With more behind them that are the listener's too. */
  ofListener(key: string, more: readonly Filter[]): Chain {
    return new Chain(key, [...this.#filters, ...more])
  }

  /** With more behind them: those of a route. */
  and(more: readonly Filter[]): Chain {
    return more.length === 0 ? this : new Chain(this.key, [...this.#filters, ...more], this.#filters.length)
  }

  behind(ran: Chain, filtersRan: number): Chain {
    return new Chain(
      this.key,
      [...ran.#filters.slice(0, filtersRan), ...this.#filters.slice(this.#ofListener)],
      filtersRan,
    )
  }

  onRequest(exchange: Exchange, isPreview: boolean): Verdict | Later {
    const filters = this.#filters
    while (exchange.filtersRan < filters.length) {
      const at = exchange.filtersRan
      const filter = filters[at]!
      // Before it runs: a filter that fails in between is completed as well.
      exchange.filtersRan = at + 1
      const verdict =
        isPreview && filter.preview !== undefined ? filter.preview(exchange, at) : filter.onRequest?.(exchange, at)
      if (verdict !== undefined) return verdict
    }
    return undefined
  }

  onDestination(exchange: Exchange): void {
    const steps = this.#onDestination
    if (steps === null) return
    for (let i = 0; i < steps.length; i++) {
      const { filter, at } = steps[i]!
      if (at < exchange.filtersRan) filter.onDestination!(exchange, at)
    }
  }

  onResponse(exchange: Exchange, response: ResponseHead): void {
    const steps = this.#onResponse
    if (steps === null) return
    for (let i = 0; i < steps.length; i++) {
      const { filter, at } = steps[i]!
      if (at < exchange.filtersRan) filter.onResponse!(exchange, response, at)
    }
  }

  onComplete(exchange: Exchange): void {
    const steps = this.#onComplete
    if (steps === null) return
    for (let i = 0; i < steps.length; i++) {
      const { filter, at } = steps[i]!
      if (at < exchange.filtersRan) filter.onComplete!(exchange, at)
    }
  }

  requestSinks(exchange: Exchange, end: NextOfRequest): Sinks<RequestSink> | null {
    const steps = this.#request
    if (steps === null) return null
    const list = this.#requestList ?? new SinkList<RequestSink>(end)
    list.begin(end)
    for (let i = 0; i < steps.length; i++) {
      const { filter, at } = steps[i]!
      if (at < exchange.filtersRan) list.add(filter.request!(exchange, list.next, at))
    }
    this.#requestList = list.isEmpty ? list : null
    return list.isEmpty ? null : list
  }

  responseSinks(exchange: Exchange, end: NextOfResponse): Sinks<ResponseSink> | null {
    const steps = this.#response
    if (steps === null) return null
    const list = this.#responseList ?? new SinkList<ResponseSink>(end)
    list.begin(end)
    for (let i = 0; i < steps.length; i++) {
      const { filter, at } = steps[i]!
      if (at < exchange.filtersRan) list.add(filter.response!(exchange, list.next, at))
    }
    this.#responseList = list.isEmpty ? list : null
    return list.isEmpty ? null : list
  }
}
