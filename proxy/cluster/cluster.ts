import type { EndpointSpec, ServiceSpec } from '../../mesh-config/snapshot.ts'
import type { LoadBalancer, LoadBalancerFactory } from '../core/balancer.ts'
import type { Random } from '../core/clock.ts'
import type { Classification, Cluster, RetryBudget } from '../core/cluster.ts'
import type { Endpoint } from '../core/endpoint.ts'
import { type Failure, failures } from '../core/failure.ts'
import { retryBudget } from './budget.ts'
import { diffHosts } from './host-set.ts'

/** What a cluster is joined with: the other parts are handed in, so that cluster/ knows none of them. */
export interface ClusterDeps {
  readonly random: Random
  balancer(spec: ServiceSpec): LoadBalancerFactory
  createEndpoint(spec: EndpointSpec, name: string): Endpoint
  retireEndpoint(endpoint: Endpoint): void
  /** Outlier detection of this service; `changed` asks for new pickers. */
  outliers(changed: () => void, all: () => readonly Endpoint[]): OutlierDetector
}

export interface OutlierDetector {
  configure(spec: ServiceSpec['outliers']): void
  report(endpoint: Endpoint, outcome: Classification, reason: string): void
  stop(): void
}

/**
 * The endpoints of a service and what this data thread has learnt of them. It lives as long as the service is configured: a reload changes it in place. Its subsets are
 * clusters over the same endpoints.
 */
export class ServiceCluster {
  readonly name: string
  spec: ServiceSpec
  endpoints: readonly Endpoint[] = []
  readonly whole: ClusterView
  readonly subsets = new Map<string, ClusterView>()
  budget: RetryBudget
  active = 0
  readonly #deps: ClusterDeps
  readonly #outliers: OutlierDetector

  constructor(spec: ServiceSpec, deps: ClusterDeps) {
    this.name = spec.name
    this.spec = spec
    this.#deps = deps
    this.budget = retryBudget(spec.retries.budget.percent, spec.retries.budget.minPerSecond)
    this.whole = new ClusterView(this, spec.name, null)
    this.#outliers = deps.outliers(
      () => this.rebuild(),
      () => this.endpoints,
    )
    this.apply(spec)
  }

  /** New policy and endpoints; pickers are built anew, endpoints that stay are kept. */
  apply(spec: ServiceSpec): void {
    const { budget } = spec.retries
    const old = this.spec.retries.budget
    if (budget.percent !== old.percent || budget.minPerSecond !== old.minPerSecond) this.budget = retryBudget(budget.percent, budget.minPerSecond)
    this.spec = spec
    for (const name of this.subsets.keys()) if (!(name in spec.subsets)) this.subsets.delete(name)
    for (const [name, labels] of Object.entries(spec.subsets)) {
      const view = this.subsets.get(name)
      if (view === undefined) this.subsets.set(name, new ClusterView(this, `${spec.name}/${name}`, labels))
      else view.labels = labels
    }
    this.#outliers.configure(spec.outliers)
    this.update(spec.endpoints)
  }

  /** A new host set. */
  update(specs: readonly EndpointSpec[]): void {
    const { endpoints, removed } = diffHosts(this.endpoints, specs, (spec, name) => this.#deps.createEndpoint(spec, name))
    this.endpoints = endpoints
    for (const endpoint of removed) this.#deps.retireEndpoint(endpoint)
    this.rebuild()
  }

  rebuild(): void {
    const factory = this.#deps.balancer(this.spec)
    const usable = this.endpoints.filter(endpoint => endpoint.spec.health === 'passing' && endpoint.state !== 'ejected')
    this.whole.balancer = factory(usable, this.#deps.random)
    for (const view of this.subsets.values())
      view.balancer = factory(
        usable.filter(endpoint => hasLabels(endpoint, view.labels!)),
        this.#deps.random,
      )
  }

  report(endpoint: Endpoint, outcome: Classification, reason: string): void {
    this.#outliers.report(endpoint, outcome, reason)
  }

  retire(): void {
    this.#outliers.stop()
    for (const endpoint of this.endpoints) this.#deps.retireEndpoint(endpoint)
    this.endpoints = []
    this.rebuild()
  }
}

/** The whole service, or one of its subsets, as routes see it. */
export class ClusterView implements Cluster {
  readonly name: string
  labels: Readonly<Record<string, string>> | null
  balancer: LoadBalancer = { pick: () => null }
  readonly #service: ServiceCluster

  constructor(service: ServiceCluster, name: string, labels: Readonly<Record<string, string>> | null) {
    this.#service = service
    this.name = name
    this.labels = labels
  }

  get policy(): string {
    return this.#service.spec.balancer.type
  }

  get budget(): RetryBudget {
    return this.#service.budget
  }

  admit(): Failure | null {
    if (this.#service.active >= this.#service.spec.limits.requests) return failures.poolOverflow
    this.#service.active++
    return null
  }

  release(): void {
    this.#service.active--
  }

  report(endpoint: Endpoint, outcome: Classification, reason: string): void {
    this.#service.report(endpoint, outcome, reason)
  }
}

function hasLabels(endpoint: Endpoint, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(labels).every(([name, value]) => endpoint.spec.metadata[name] === value)
}
