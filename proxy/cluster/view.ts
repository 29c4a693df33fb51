import type { ServiceSpec } from '../../mesh-config/snapshot.ts'
import type { Admission } from '../core/admission.ts'
import type { LoadBalancer } from '../core/balancer.ts'
import type { Classification, Cluster, Latencies, RetryBudget } from '../core/cluster.ts'
import type { AttemptRecord } from '../core/decision.ts'
import type { Endpoint } from '../core/endpoint.ts'
import type { Failure } from '../core/failure.ts'
import type { Headers, ResponseHead } from '../core/message.ts'
import type { Affinity } from './affinity.ts'
import type { Balance } from './balance.ts'
import type { Members } from './members.ts'

/** What all views of a service share: its policy, limits and budget, and the one place where outcomes are reported. */
export interface ViewOwner extends Pick<Cluster, 'admission' | 'report' | 'observe' | 'observeTrailers'> {
  readonly spec: ServiceSpec
  readonly affinity: Affinity
  readonly budget: RetryBudget
  readonly latencies: Latencies
}

/** The whole service, or one of its subsets, as routes see it. */
export class ClusterView implements Cluster {
  readonly name: string
  /** Which endpoints are in it. */
  holds: Members
  balancer: LoadBalancer
  /**
   * The balance of its own endpoints. `balancer` belongs to the fallback where this is a subset without usable
   * endpoints.
   */
  balance: Balance
  /** Its endpoints, whatever their state. */
  members: readonly Endpoint[] = []
  readonly #service: ViewOwner

  constructor(service: ViewOwner, name: string, holds: Members, balance: Balance) {
    this.#service = service
    this.name = name
    this.holds = holds
    this.balance = balance
    this.balancer = balance.balancer
  }

  get policy(): string {
    return this.#service.spec.balancer.type
  }

  get mayBeGrpc(): boolean {
    const { protocol } = this.#service.spec
    return protocol === 'grpc' || protocol === 'http2'
  }

  get speaksGrpc(): boolean {
    return this.#service.spec.protocol === 'grpc'
  }

  get prepare(): Cluster['prepare'] {
    return this.#service.affinity.prepare
  }

  get cookie(): Cluster['cookie'] {
    return this.#service.affinity.cookie
  }

  get budget(): RetryBudget {
    return this.#service.budget
  }

  get latencies(): Latencies {
    return this.#service.latencies
  }

  get admission(): Admission {
    return this.#service.admission
  }

  report(record: AttemptRecord, outcome: Classification, failure: Failure | null, requestId: string): void {
    this.#service.report(record, outcome, failure, requestId)
  }

  observe(endpoint: Endpoint, outcome: Classification, tookMs: number, head: ResponseHead | null): void {
    this.#service.observe(endpoint, outcome, tookMs, head)
  }

  observeTrailers(endpoint: Endpoint, trailers: Headers): void {
    this.#service.observeTrailers(endpoint, trailers)
  }
}
