import type { FaultSpec } from '../../mesh-config/snapshot.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { Exchange } from '../core/exchange.ts'
import { type Failure, failures } from '../core/failure.ts'
import { row } from '../core/failure-kind.ts'
import type { Filter, Later, NextOfResponse, Refusal, Verdict } from '../core/filter.ts'
import { grpcStatusOfHttp } from '../core/grpc.ts'
import type { RequestHead } from '../core/message.ts'
import { add, type Counter, set } from '../core/telemetry.ts'
import { type Asked, askedOf } from './fault-headers.ts'
import { ThrottledSink } from './throttled-sink.ts'

const NAME = 'faults'

/** What is counted of a rule. */
export interface FaultStats {
  readonly delayed: Counter
  readonly aborted: Counter
  readonly throttled: Counter
  /** More than `active` at a time: they went on without a fault. */
  readonly overflow: Counter
  readonly active: Counter
}

/** A rule of a service or a route: one object for each data thread, kept over snapshots. */
export class FaultInjector {
  readonly spec: FaultSpec
  readonly clock: Clock
  readonly #random: Random
  readonly #matches: ((request: RequestHead) => boolean) | null
  readonly #stats: FaultStats
  readonly #refusal: Refusal
  #active = 0

  /** `matches` null: every request. */
  constructor(
    spec: FaultSpec,
    matches: ((request: RequestHead) => boolean) | null,
    stats: FaultStats,
    { clock, random }: { readonly clock: Clock; readonly random: Random },
  ) {
    this.spec = spec
    this.clock = clock
    this.#random = random
    this.#matches = matches
    this.#stats = stats
    this.#refusal = this.#refusalOf(spec.abort?.status ?? 0, spec.abort?.grpcStatus ?? 0)
  }

  #refusalOf(status: number, grpcStatus: number): Refusal {
    return { failure: faultOf(status, grpcStatus), detail: this.spec.name }
  }

  appliesTo({ request }: Exchange): boolean {
    const { fromTime, untilTime } = this.spec
    if (fromTime !== undefined && this.clock.wallTime() < fromTime) return false
    if (untilTime !== undefined && this.clock.wallTime() >= untilTime) return false
    return this.#matches === null || this.#matches(request)
  }

  /** What this request gets; null: nothing. */
  draw({ request, decision }: Exchange): Injected | null {
    const { spec } = this
    const asked = spec.byHeaders ? askedOf(request.headers) : null
    const delayMs = this.#delayMs(asked)
    const refusal = this.#abort(asked)
    const bytesPerSecond = refusal === null ? this.#bytesPerSecond(asked) : 0
    if (delayMs === 0 && refusal === null && bytesPerSecond === 0) return null
    if (this.#active >= spec.active) {
      add(this.#stats.overflow, 1)
      decision.note(NAME, `${spec.name}: \`active\` is reached, so it goes on without a fault`)
      return null
    }
    this.#active++
    set(this.#stats.active, this.#active)
    if (delayMs > 0) add(this.#stats.delayed, 1)
    if (refusal !== null) add(this.#stats.aborted, 1)
    if (bytesPerSecond > 0) add(this.#stats.throttled, 1)
    return { of: this, delayMs, refusal, bytesPerSecond, sink: null }
  }

  over(): void {
    this.#active--
    set(this.#stats.active, this.#active)
  }

  #falls(percent: number): boolean {
    return percent >= 100 || (percent > 0 && this.#random() * 100 < percent)
  }

  #delayMs(asked: Asked | null): number {
    const { delay } = this.spec
    if (asked !== null && asked.delayMs > 0)
      return this.#falls(Math.min(asked.delayPercent, delay?.percent ?? 100)) ? asked.delayMs : 0
    if (delay === undefined || !this.#falls(delay.percent)) return 0
    const { minMs, maxMs } = delay
    return minMs === maxMs ? minMs : minMs + this.#random() * (maxMs - minMs)
  }

  #abort(asked: Asked | null): Refusal | null {
    const { abort } = this.spec
    if (asked !== null && asked.status + asked.grpcStatus > 0)
      return this.#falls(Math.min(asked.abortPercent, abort?.percent ?? 100))
        ? this.#refusalOf(asked.status, asked.grpcStatus)
        : null
    return abort !== undefined && this.#falls(abort.percent) ? this.#refusal : null
  }

  #bytesPerSecond(asked: Asked | null): number {
    const { throttle } = this.spec
    if (asked !== null && asked.bytesPerSecond > 0)
      return this.#falls(Math.min(asked.throttlePercent, throttle?.percent ?? 100)) ? asked.bytesPerSecond : 0
    return throttle !== undefined && this.#falls(throttle.percent) ? throttle.bytesPerSecond : 0
  }

  /** What a request may get, in words. */
  text(): string {
    const { name, delay, abort, throttle, byHeaders } = this.spec
    const share = (percent: number) => (percent >= 100 ? 'every request' : `${percent} % of the requests`)
    const parts = [
      delay === undefined ? '' : `delays ${share(delay.percent)} by ${rangeText(delay)}`,
      abort === undefined ? '' : `answers ${share(abort.percent)} with ${statusText(this.#refusal.failure)}`,
      throttle === undefined ? '' : `slows ${share(throttle.percent)} to ${throttle.bytesPerSecond} bytes/s`,
      byHeaders ? 'does what headers of the caller ask for' : '',
    ]
    return `${name} ${parts.filter(part => part !== '').join(', ')}`
  }

  /** Certain, and at once. */
  certain(): Refusal | undefined {
    const { abort, delay } = this.spec
    return abort !== undefined && abort.percent >= 100 && delay === undefined ? this.#refusal : undefined
  }
}

/** What one request got. */
interface Injected {
  readonly of: FaultInjector
  readonly delayMs: number
  readonly refusal: Refusal | null
  readonly bytesPerSecond: number
  sink: ThrottledSink | null
}

/** The first rule that applies to a request says what it gets. Null: there are no rules. */
export function faults(injectors: readonly FaultInjector[]): Filter | null {
  if (injectors.length === 0) return null
  const rule = (exchange: Exchange): FaultInjector | null => {
    for (let i = 0; i < injectors.length; i++) if (injectors[i]!.appliesTo(exchange)) return injectors[i]!
    return null
  }
  const mayThrottle = injectors.some(({ spec }) => spec.throttle !== undefined || spec.byHeaders)
  return {
    name: NAME,
    onRequest(exchange, slot) {
      const injected = rule(exchange)?.draw(exchange) ?? null
      if (injected === null) return undefined
      exchange.keep(slot, injected)
      return begin(exchange, injected)
    },
    preview(exchange) {
      const found = rule(exchange)
      if (found === null) return undefined
      exchange.decision.note(NAME, found.text())
      return found.certain()
    },
    ...(mayThrottle ? { response: throttled } : {}),
    onComplete(exchange, slot) {
      const injected = exchange.kept<Injected>(slot)
      if (injected === undefined) return
      injected.sink?.stop()
      injected.of.over()
    },
  }
}

function begin({ decision }: Exchange, { of, delayMs, refusal }: Injected): Verdict | Later {
  if (delayMs === 0) return refusal ?? undefined
  decision.isDelayed = true
  decision.note(NAME, `${of.spec.name}: delayed by ${Math.round(delayMs)} ms`)
  return { verdict: () => new Promise(() => {}), timeoutMs: delayMs, late: refusal ?? undefined }
}

function throttled(exchange: Exchange, next: NextOfResponse, slot: number): ThrottledSink | null {
  const injected = exchange.kept<Injected>(slot)
  if (injected === undefined || injected.bytesPerSecond === 0) return null
  exchange.decision.note(NAME, `${injected.of.spec.name}: slowed to ${injected.bytesPerSecond} bytes/s`)
  injected.sink = new ThrottledSink(next, injected.bytesPerSecond, injected.of.clock)
  return injected.sink
}

/** A failure of that status; 0: as the other one says. */
function faultOf(status: number, grpcStatus: number): Failure {
  const httpStatus = status || failures.faultInjected.httpStatus
  return row({ ...failures.faultInjected, httpStatus, grpcStatus: grpcStatus || grpcStatusOfHttp(httpStatus) })
}

function rangeText({ minMs, maxMs }: NonNullable<FaultSpec['delay']>): string {
  return minMs === maxMs ? `${minMs} ms` : `${minMs} to ${maxMs} ms`
}

function statusText({ httpStatus, grpcStatus }: Failure): string {
  return `${httpStatus} (gRPC: ${grpcStatus})`
}
