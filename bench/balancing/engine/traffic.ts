import { NO_HASH } from '../../../proxy/core/balancer.ts'
import type { Random } from '../../../proxy/core/clock.ts'
import type { Scenario } from '../scenario.ts'
import { drawer, exponential, logNormal, popularity } from './chance.ts'
import type { Due, EventQueue } from './event-queue.ts'
import { capacityOf } from './fleet.ts'
import { RequestLog } from './log.ts'
import { Request } from './request.ts'
import type { Sidecar } from './sidecar.ts'

const CALLERS_PER_INSTANCE = 100
/** The busiest of a thousand callers sends 1.6 % of all requests, the median one 0.07 %. */
const POPULARITY = 0.5

/**
 * Poisson arrivals, each at a random sidecar. The times, callers and durations of requests depend on the seed only, not
 * on the balancer: all balancers get the same requests.
 */
export class Traffic implements Due {
  readonly sidecars: Sidecar[] = []
  /** The hash of each caller; empty: the policy does not hash. */
  hashes: readonly number[] = []
  readonly log = new RequestLog()
  /** All requests, those before `from` included. */
  sent = 0
  readonly #queue: EventQueue
  readonly #scenario: Scenario
  /** Requests between these moments are recorded; then it ends. */
  readonly #from: number
  readonly #until: number
  readonly #arrivals: Random
  readonly #works: Random
  readonly #ways: Random
  readonly #drawCaller: () => number
  readonly #rate: (now: number) => number
  /** For reuse. */
  readonly #idle: Request[] = []

  constructor(scenario: Scenario, queue: EventQueue, stream: () => Random) {
    this.#scenario = scenario
    this.#queue = queue
    this.#from = queue.now + scenario.warmUpMs
    this.#until = this.#from + scenario.measuredMs
    this.#arrivals = stream()
    this.#works = stream()
    this.#ways = stream()
    this.#drawCaller = drawer(callersOf(scenario), stream())
    this.#rate = rateOf(scenario, this.#from)
  }

  happen(): void {
    const { now } = this.#queue
    if (now >= this.#until) return
    this.#send(now)
    this.#queue.plan(now + exponential(this.#arrivals, 1000 / this.#rate(now)), this)
  }

  done(request: Request, status: number): void {
    if (request.row >= 0) this.log.end(request.row, this.#queue.now - request.sentAt, status)
    this.#idle.push(request)
  }

  #send(now: number): void {
    const request = this.#idle.pop() ?? new Request()
    const sidecar = this.sidecars[Math.floor(this.#ways() * this.sidecars.length)]!
    request.begin(sidecar, now, this.#scenario.workMs * logNormal(this.#works))
    this.sent++
    const instance = sidecar.send(request, this.hashes[this.#drawCaller()] ?? NO_HASH)
    if (now >= this.#from) {
      request.row = this.log.begin(now - this.#from, instance?.isBad ?? false)
      if (instance !== null) instance.requests++
    }
    if (instance === null) this.done(request, 503)
    else instance.take(request)
  }
}

/** The share of each caller. */
export function callersOf({ instances, change }: Scenario): Float64Array {
  return popularity(CALLERS_PER_INSTANCE * (instances.length + (change?.joining.length ?? 0)), POPULARITY)
}

/** Requests a second at a moment. */
function rateOf({ instances, change, utilization, workMs }: Scenario, from: number): (now: number) => number {
  const before = utilization * capacityOf(instances, workMs)
  if (change === null) return () => before
  const after = change.utilization * capacityOf([...instances.slice(change.leaving), ...change.joining], workMs)
  return now =>
    before + (after - before) * (now < from ? 0 : now >= from + change.rampMs ? 1 : (now - from) / change.rampMs)
}
