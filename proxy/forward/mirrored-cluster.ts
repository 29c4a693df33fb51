import type { Classification, Cluster, RetryBudget } from '../core/cluster.ts'
import type { Endpoint } from '../core/endpoint.ts'
import type { Headers, ResponseHead } from '../core/message.ts'

/** Copies are not tried again, and count for no budget. */
const NO_BUDGET: RetryBudget = { deposit() {}, tryWithdraw: () => false }

/** A cluster as copies of requests see it: its endpoints, and none of its permits, sessions and budget. */
export class MirroredCluster implements Cluster {
  readonly prepare = null
  readonly cookie = null
  readonly budget = NO_BUDGET
  readonly #own: Cluster

  constructor(own: Cluster) {
    this.#own = own
  }

  get name(): string {
    return this.#own.name
  }

  get balancer(): Cluster['balancer'] {
    return this.#own.balancer
  }

  get policy(): string {
    return this.#own.policy
  }

  get mayBeGrpc(): boolean {
    return this.#own.mayBeGrpc
  }

  get speaksGrpc(): boolean {
    return this.#own.speaksGrpc
  }

  get isFull(): boolean {
    return false
  }

  /** The mirror has a bound of its own. */
  admit(): null {
    return null
  }

  release(): void {}

  report(endpoint: Endpoint, outcome: Classification, reason: string, startedAt: number): void {
    this.#own.report(endpoint, outcome, reason, startedAt)
  }

  observe(endpoint: Endpoint, outcome: Classification, tookMs: number, head: ResponseHead | null): void {
    this.#own.observe(endpoint, outcome, tookMs, head)
  }

  observeTrailers(endpoint: Endpoint, trailers: Headers): void {
    this.#own.observeTrailers(endpoint, trailers)
  }
}
