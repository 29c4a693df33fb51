import type { EndpointSpec, HealthSpec } from '../../mesh-config/snapshot.ts'
import type { Clock, Random } from '../core/clock.ts'
import { endpointName } from '../core/endpoints-delta.ts'
import type { CheckedEndpoint, CheckedService } from '../core/health-checks.ts'
import type { MakeChecker, Outcome } from './checker.ts'
import { checkWords } from './checks-of.ts'
import { type CheckOwner, EndpointCheck } from './endpoint-check.ts'
import type { Line } from './permits.ts'

/** The first checks of endpoints that come together are spread over so many milliseconds for each, and over these. */
const SPREAD_MS = 1
const LEAST_SPREAD_MS = 100

export interface ServiceChecksDeps {
  readonly clock: Clock
  readonly random: Random
  readonly line: Line
  /** Unhealthy for a process before this one, by `address:port`: why. */
  readonly before: Readonly<Record<string, string>>
  readonly changed: (service: ServiceChecks, check: EndpointCheck) => void
}

/** The endpoints of one service that are checked. */
export class ServiceChecks implements CheckOwner {
  readonly name: string
  spec: HealthSpec
  readonly clock: Clock
  readonly random: Random
  readonly line: Line
  readonly counts = { healthy: 0, unhealthy: 0, failed: 0, local: 0 }
  readonly #deps: ServiceChecksDeps
  #make: MakeChecker
  #checks = new Map<string, EndpointCheck>()
  /** Requests so far, when they were looked at last; -1: never. */
  #uses = -1
  #usedAt = Number.NEGATIVE_INFINITY

  constructor(name: string, spec: HealthSpec, make: MakeChecker, deps: ServiceChecksDeps) {
    this.name = name
    this.spec = spec
    this.#make = make
    this.#deps = deps
    this.clock = deps.clock
    this.random = deps.random
    this.line = deps.line
  }

  /** Checked in another way from now on. */
  change(spec: HealthSpec, make: MakeChecker): void {
    this.spec = spec
    this.#make = make
    const spreadMs = this.#spreadMs(this.#checks.size)
    for (const [name, check] of this.#checks) check.change(this.#checkerOf(name), this.random() * spreadMs)
  }

  /** These endpoints are there now. */
  follow(endpoints: readonly EndpointSpec[]): void {
    const before = this.#checks
    const checks = new Map<string, EndpointCheck>()
    const added: EndpointCheck[] = []
    for (const endpoint of endpoints) {
      const name = endpointName(endpoint)
      if (checks.has(name)) continue
      const known = before.get(name)
      const check = known ?? new EndpointCheck(name, this.#make(this.#target(endpoint)), this)
      checks.set(name, check)
      if (known === undefined) added.push(check)
    }
    for (const [name, check] of before) if (!checks.has(name)) check.stop()
    this.#checks = checks
    const spreadMs = this.#spreadMs(added.length)
    for (const check of added) {
      const reason = this.#deps.before[check.name]
      if (reason !== undefined) check.inherit(reason)
      check.within(this.random() * spreadMs)
    }
  }

  /** Requests so far, over all data threads. */
  used(uses: number): void {
    const wasQuiet = this.isQuiet()
    if (this.#uses !== -1 ? uses !== this.#uses : uses !== 0) this.#usedAt = this.clock.now()
    this.#uses = uses
    if (!wasQuiet || this.isQuiet()) return
    const spreadMs = this.#spreadMs(this.#checks.size)
    for (const check of this.#checks.values()) check.within(this.random() * spreadMs)
  }

  isQuiet(): boolean {
    return this.clock.now() - this.#usedAt >= this.spec.noTrafficMs
  }

  intervalMs(isDoubtful: boolean): number {
    const { intervalMs, noTrafficMs, jitterPercent } = this.spec
    return (
      (this.isQuiet() && !isDoubtful ? noTrafficMs : intervalMs) * (1 + (jitterPercent / 100) * (2 * this.random() - 1))
    )
  }

  /** With what the checks say. The same list where they have nothing to add. */
  overlay(endpoints: readonly EndpointSpec[]): readonly EndpointSpec[] {
    let shown: EndpointSpec[] | null = null
    for (const [index, endpoint] of endpoints.entries()) {
      const own = this.#checks.get(endpointName(endpoint))?.overlay(endpoint) ?? endpoint
      if (own === endpoint) continue
      shown ??= [...endpoints]
      shown[index] = own
    }
    return shown ?? endpoints
  }

  counted({ kind }: Outcome): void {
    this.counts[kind]++
  }

  changed(check: EndpointCheck): void {
    this.#deps.changed(this, check)
  }

  unhealthy(): Record<string, string> {
    const reasons: Record<string, string> = {}
    for (const { name, state, reason } of this.#checks.values()) if (state === 'unhealthy') reasons[name] = reason
    return reasons
  }

  status(): CheckedService {
    const states = { unchecked: 0, healthy: 0, unhealthy: 0 }
    for (const { state } of this.#checks.values()) states[state]++
    return {
      name: this.name,
      check: checkWords(this.spec.check),
      intervalMs: this.isQuiet() ? this.spec.noTrafficMs : this.spec.intervalMs,
      isQuiet: this.isQuiet() && this.spec.noTrafficMs > this.spec.intervalMs,
      ...states,
      waiting: this.line.waiting(),
      counts: this.counts,
      endpoint: name => this.#endpoint(name),
    }
  }

  stop(): void {
    for (const check of this.#checks.values()) check.stop()
    this.#checks.clear()
  }

  #endpoint(name: string): CheckedEndpoint | null {
    const check = this.#checks.get(name)
    if (check === undefined) return null
    const { state, changedAt, checkedAt, tookMs, trouble, against } = check
    const now = this.clock.now()
    return {
      state,
      forMs: changedAt === -1 ? null : Math.round(now - changedAt),
      checkedAgoMs: checkedAt === -1 ? null : Math.round(now - checkedAt),
      tookMs: checkedAt === -1 ? null : Math.round(tookMs),
      trouble,
      against,
      needed: state === 'unhealthy' ? this.spec.healthyAfter : this.spec.unhealthyAfter,
    }
  }

  #checkerOf(name: string) {
    const colon = name.lastIndexOf(':')
    const address = name.slice(0, colon).replace(/^\[|\]$/g, '')
    return this.#make(this.#target({ address, port: Number(name.slice(colon + 1)) }))
  }

  #target({ address, port }: Pick<EndpointSpec, 'address' | 'port'>) {
    return { address, port: this.spec.port === 0 ? port : this.spec.port }
  }

  #spreadMs(count: number): number {
    return Math.min(this.spec.intervalMs, Math.max(LEAST_SPREAD_MS, count * SPREAD_MS))
  }
}
