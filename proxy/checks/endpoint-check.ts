import type { EndpointSpec, HealthSpec } from '../../mesh-config/snapshot.ts'
import type { Clock, Random, Timer } from '../core/clock.ts'
import type { Checker, Outcome } from './checker.ts'
import type { Asking, Line } from './permits.ts'

/** Also where a check takes as long as its interval. */
const LEAST_PAUSE_MS = 50

/** What is told of each check, and what it needs to know of its service. */
export interface CheckOwner {
  readonly spec: HealthSpec
  readonly line: Line
  readonly clock: Clock
  readonly random: Random
  /** To the next check. `isDoubtful`: the last results speak against what is known. */
  intervalMs(isDoubtful: boolean): number
  counted(outcome: Outcome): void
  changed(check: EndpointCheck): void
}

export type CheckState = 'unchecked' | 'healthy' | 'unhealthy'

/** The checks of one endpoint: when the next one is, and what follows from the results. */
export class EndpointCheck implements Asking {
  readonly name: string
  state: CheckState = 'unchecked'
  /** Why it became unhealthy; empty: it is not. */
  reason = ''
  /** Of the last check; empty: it succeeded. */
  trouble = ''
  /** Results in a row that speak against the state. */
  against = 0
  /** Monotonic milliseconds; -1: never. */
  changedAt = -1
  checkedAt = -1
  tookMs = 0
  readonly #owner: CheckOwner
  #checker: Checker
  readonly #timer: Timer
  /** The next result decides alone: nothing is known yet, or it was learnt by other means. */
  #isFirst = true
  #phase: 'idle' | 'waiting' | 'running' | 'over' = 'idle'
  #nextAt = 0
  #overlaid: EndpointSpec | null = null
  #overlaidOf: EndpointSpec | null = null

  constructor(name: string, checker: Checker, owner: CheckOwner) {
    this.name = name
    this.#checker = checker
    this.#owner = owner
    this.#timer = owner.clock.timer(() => this.#due())
  }

  /** What a process before this one knew of it. */
  inherit(reason: string): void {
    this.state = 'unhealthy'
    this.reason = reason
    this.trouble = reason
    this.changedAt = this.#owner.clock.now()
  }

  /** The next check is no later than that. */
  within(delayMs: number): void {
    if (this.#phase !== 'idle') return
    const at = this.#owner.clock.now() + delayMs
    if (this.#nextAt !== 0 && this.#nextAt <= at) return
    this.#arm(delayMs)
  }

  /** It is checked in another way from now on; what is known stays until that has a result. */
  change(checker: Checker, delayMs: number): void {
    this.#endCheck()
    this.#checker = checker
    this.#isFirst = true
    this.against = 0
    this.#arm(delayMs)
  }

  stop(): void {
    this.#timer.cancel()
    this.#endCheck()
    this.#phase = 'over'
  }

  /** With what the checks say, where discovery has nothing against it. */
  overlay(spec: EndpointSpec): EndpointSpec {
    if (this.state !== 'unhealthy' || spec.health !== 'passing') return spec
    if (this.#overlaid !== null && this.#overlaidOf === spec) return this.#overlaid
    const healthReason = spec.healthReason === '' ? this.reason : `${this.reason}; ${spec.healthReason}`
    this.#overlaidOf = spec
    this.#overlaid = { ...spec, health: 'failing', healthReason }
    return this.#overlaid
  }

  #arm(delayMs: number): void {
    this.#nextAt = this.#owner.clock.now() + delayMs
    this.#timer.arm(delayMs)
  }

  #due(): void {
    this.#nextAt = 0
    this.#phase = 'waiting'
    this.#owner.line.ask(this)
  }

  begin(): boolean {
    if (this.#phase !== 'waiting') return false
    this.#phase = 'running'
    const { clock, spec } = this.#owner
    const startedAt = clock.now()
    this.#checker.check(spec.timeoutMs, outcome => {
      const now = clock.now()
      this.checkedAt = now
      this.tookMs = now - startedAt
      this.#phase = 'idle'
      this.#owner.counted(outcome)
      this.#judge(outcome, now)
      this.#arm(Math.max(LEAST_PAUSE_MS, this.#owner.intervalMs(this.against > 0) - this.tookMs))
      this.#owner.line.done()
    })
    return true
  }

  #endCheck(): void {
    const wasRunning = this.#phase === 'running'
    this.#phase = 'idle'
    this.#checker.stop()
    if (wasRunning) this.#owner.line.done()
  }

  #judge({ kind, trouble }: Outcome, now: number): void {
    if (kind === 'local') return
    this.trouble = trouble
    const isHealthy = kind === 'healthy'
    const to = isHealthy ? 'healthy' : 'unhealthy'
    this.against = to === this.state ? 0 : this.against + 1
    const { healthyAfter, unhealthyAfter } = this.#owner.spec
    const needed = this.#isFirst || kind === 'unhealthy' ? 1 : isHealthy ? healthyAfter : unhealthyAfter
    this.#isFirst = false
    if (this.against < needed) return
    const isNews = !isHealthy || this.state === 'unhealthy'
    this.state = to
    this.reason = trouble
    this.against = 0
    this.changedAt = now
    this.#overlaid = null
    if (isNews) this.#owner.changed(this)
  }
}
