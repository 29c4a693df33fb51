import type { Admission } from '../core/admission.ts'
import type { Classification, Cluster, Latencies, RetryBudget } from '../core/cluster.ts'
import type { AttemptRecord } from '../core/decision.ts'
import type { Endpoint } from '../core/endpoint.ts'
import type { Failure } from '../core/failure.ts'
import type { Headers, ResponseHead } from '../core/message.ts'

/** Copies are not tried again, and count for no budget. */
const NO_BUDGET: RetryBudget = {
  deposit() {},
  tryWithdraw: () => false,
  state: () => ({ spent: 0, allowed: 0 }),
}

/** The mirror has a bound of its own; breaker and adaptive concurrency are for requests that somebody waits for. */
const ALWAYS: Admission = {
  refusal: () => null,
  refusedBy: '',
  admit: () => null,
  release() {},
  mayWait: () => false,
  wait: () => false,
  leave() {},
  admitRetry: () => false,
  releaseRetry() {},
  ended() {},
  took() {},
  describe: () => [],
}

/** A cluster as copies of requests see it: its endpoints, and none of its permits, sessions and budget. */
export class MirroredCluster implements Cluster {
  readonly prepare = null
  readonly cookie = null
  readonly budget = NO_BUDGET
  readonly admission = ALWAYS
  readonly #own: Cluster

  constructor(own: Cluster) {
    this.#own = own
  }

  get name(): string {
    return this.#own.name
  }

  get members(): Cluster['members'] {
    return this.#own.members
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

  get latencies(): Latencies {
    return this.#own.latencies
  }

  report(record: AttemptRecord, outcome: Classification, failure: Failure | null, requestId: string): void {
    this.#own.report(record, outcome, failure, requestId)
  }

  observe(endpoint: Endpoint, outcome: Classification, tookMs: number, head: ResponseHead | null): void {
    this.#own.observe(endpoint, outcome, tookMs, head)
  }

  observeTrailers(endpoint: Endpoint, trailers: Headers): void {
    this.#own.observeTrailers(endpoint, trailers)
  }
}
