import { own } from '../../mesh-config/own.ts'
import type { BalancerType, EndpointLimitsSpec, EndpointSpec, ServiceSpec } from '../../mesh-config/snapshot.ts'
import type { BalancerDeps, BalancerPolicy } from '../core/balancer.ts'
import type { Cells } from '../core/cells.ts'
import type { ByHandAnswer, ByHandQuestion, EndpointsDelta } from '../core/channel.ts'
import type { Random, Timer } from '../core/clock.ts'
import type { Classification, Latencies } from '../core/cluster.ts'
import type { AttemptRecord } from '../core/decision.ts'
import type { Endpoint } from '../core/endpoint.ts'
import type { Failure } from '../core/failure.ts'
import type { LearntEndpoint } from '../core/learnt.ts'
import type { Headers, ResponseHead } from '../core/message.ts'
import type { OutlierDetector } from '../core/outlier-detector.ts'
import { type AdmissionDeps, ServiceAdmission } from './admission.ts'
import { type Affinity, affinity } from './affinity.ts'
import { type Balance, balance } from './balance.ts'
import { retryBudget, type ServiceBudget } from './budget.ts'
import { type HostSet, type HostSetChange, hostSet } from './host-set.ts'
import { latencies } from './latencies.ts'
import { learntOf, restore } from './learnt.ts'
import { type AllMembers, membersOf } from './members.ts'
import { probePicker } from './probe.ts'
import { SLOW_START_OFF, stepMs, weigh } from './slow-start.ts'
import { stickyIds } from './sticky-id.ts'
import { isTouched, withFallback } from './subset.ts'
import { ClusterView, type ViewOwner } from './view.ts'
import type { Locality } from './zone.ts'

/** What a cluster needs of other parts, handed in so that cluster/ knows none of them. */
export interface ClusterDeps extends AdmissionDeps {
  readonly random: Random
  readonly cells: Cells
  policy(type: BalancerType): BalancerPolicy
  createEndpoint(spec: EndpointSpec, name: string): Endpoint
  /** It has left; its own `retire` follows. */
  retireEndpoint(endpoint: Endpoint): void
  /** `limits.perEndpoint` of the service is this from now on. */
  limitEndpoint?(endpoint: Endpoint, limits: EndpointLimitsSpec | undefined): void
  /**
   * Outlier detection of this service. `changed` asks for new pickers. `sets` are the whole service, and the subsets
   * that have no fallback.
   */
  outliers(changed: () => void, sets: () => readonly NamedSet[]): OutlierDetector
  /** The locality of this sidecar when the cluster is made; `configure` and `setOrigins` change it. */
  readonly locality: Locality
  /** Which data thread this is. */
  readonly thread: number
}

/** A subset, or the whole service. */
interface NamedSet {
  readonly name: string
  readonly members: readonly Endpoint[]
}

const REWEIGH_MS = 1000

/**
 * The endpoints of a service and what this data thread has learnt of them. It lives as long as the service is
 * configured: a reload changes it in place. Its subsets are clusters over the same endpoints.
 */
export class ServiceCluster implements ViewOwner {
  readonly name: string
  spec: ServiceSpec
  readonly whole: ClusterView
  readonly subsets = new Map<string, ClusterView>()
  readonly budget: ServiceBudget
  affinity: Affinity
  #latencies: Latencies | null = null
  readonly admission: ServiceAdmission
  #members: AllMembers
  readonly #deps: ClusterDeps
  readonly #hosts: HostSet
  readonly #outliers: OutlierDetector
  #policy: BalancerPolicy
  #policyDeps: BalancerDeps
  #locality: Locality
  #stickyIdOf: ((endpoint: string) => string) | null
  /** Rebuilds pickers while an endpoint warms up. */
  readonly #warmUp: Timer
  /** Reweighs after traffic, for policies that compute weights from what they learnt. */
  readonly #learn: Timer
  #isLearning = false

  /** `spec` has the first endpoints. */
  constructor(spec: ServiceSpec, deps: ClusterDeps, members = membersOf(spec, noRegex)) {
    this.#members = members
    this.name = spec.name
    this.spec = spec
    this.#deps = deps
    this.admission = new ServiceAdmission(spec, deps)
    const { percent, minPerSecond } = spec.retries.budget
    this.budget = retryBudget(percent, minPerSecond, { service: spec.name, cells: deps.cells })
    this.#policy = deps.policy(spec.balancer.type)
    this.#policyDeps = { clock: deps.clock, random: deps.random, spec: spec.balancer }
    this.affinity = affinity(spec.balancer, this.#policy.hashes, deps.random)
    this.#locality = deps.locality
    this.#stickyIdOf = idsOf(spec)
    this.#warmUp = deps.clock.timer(() => this.rebuild())
    this.#learn = deps.clock.timer(() => this.#reweigh())
    this.#hosts = hostSet((endpoint, name) => this.#create(endpoint, name))
    this.whole = new ClusterView(this, spec.name, members.whole, this.#balance(null))
    this.#outliers = deps.outliers(
      () => this.rebuild(),
      () => this.#sets(),
    )
    this.#outliers.configure(spec.outliers)
    this.#hosts.replace(spec.endpoints)
    this.#nameSubsets()
    this.#gather(this.#views())
    // Other data threads may have ejected some already.
    this.#outliers.review()
    this.rebuild()
  }

  /** Goes on with what an earlier process had learnt of its endpoints, before the first request. */
  restore(learnt: readonly LearntEndpoint[]): void {
    const byName = new Map(learnt.map(each => [each.name, each]))
    const now = this.#deps.clock.now()
    for (const endpoint of this.endpoints) {
      const known = byName.get(endpoint.name)
      if (known !== undefined) restore(endpoint, known, now)
    }
    this.#outliers.resume()
    if (this.#policy.reweigh !== null) this.#learn.arm(REWEIGH_MS)
    this.rebuild()
  }

  /** For a process that takes over. */
  learnt(): LearntEndpoint[] {
    return learntOf(this.endpoints, this.#deps.clock.now())
  }

  /** In the order in which they came. */
  get endpoints(): readonly Endpoint[] {
    return this.#hosts.endpoints
  }

  /**
   * Takes a new policy, new endpoints and the zone of this sidecar. Endpoints that stay are kept, and so are pickers
   * for which nothing changed.
   */
  configure(spec: ServiceSpec, zone = this.#locality.zone, members?: AllMembers): void {
    const old = this.spec
    this.spec = spec
    this.budget.configure(spec.retries.budget.percent, spec.retries.budget.minPerSecond)
    const isOther = !isEqual(spec.balancer, old.balancer)
    if (isOther) this.#usePolicy(spec, old)
    const isDivided = !isEqual(divisionOf(spec), divisionOf(old))
    if (isDivided) {
      this.#members = members ?? membersOf(spec, noRegex)
      this.#nameSubsets()
    }
    this.admission.configure(spec)
    this.#outliers.configure(spec.outliers)
    const isLimited = !isEqual([spec.limits.perEndpoint], [old.limits.perEndpoint])
    if (isLimited) for (const endpoint of this.endpoints) this.#deps.limitEndpoint?.(endpoint, spec.limits.perEndpoint)
    const change = this.#replace(spec.endpoints)
    const isElsewhere = zone !== this.#locality.zone
    if (isElsewhere) this.#locality = { ...this.#locality, zone }
    if (isOther || isDivided || isElsewhere || isLimited) {
      this.#gather(this.#views())
      this.#outliers.review()
      this.rebuild()
    } else if (change !== null) this.#rebuildTouched(change)
    else if (this.#outliers.review()) this.rebuild()
  }

  /** A whole host set. */
  update(specs: readonly EndpointSpec[]): void {
    const change = this.#replace(specs)
    if (change !== null) this.#rebuildTouched(change)
  }

  /** The differences from the last host set. */
  change(delta: EndpointsDelta): void {
    const hadAny = this.endpoints.length !== 0
    const change = this.#hosts.change(delta)
    this.#settle(change, hadAny)
    this.#rebuildTouched(change)
  }

  /** How many instances of this sidecar's own service stand in each zone; empty: not known. */
  setOrigins(origins: Readonly<Record<string, number>>): void {
    this.#locality = { ...this.#locality, origins }
    if (this.#locality.zone !== '' && this.spec.balancer.zoneAware.on) this.rebuild()
  }

  /** Makes all pickers anew, because weights or ejections changed. */
  rebuild(): void {
    this.#build(this.#views())
  }

  get latencies(): Latencies {
    this.#latencies ??= latencies()
    return this.#latencies
  }

  report(record: AttemptRecord, outcome: Classification, failure: Failure | null, requestId: string): void {
    this.#outliers.report(record, outcome, failure, requestId)
  }

  /** Another data thread has ejected or readmitted endpoints. */
  lookAgain(): void {
    if (this.#outliers.review()) this.rebuild()
  }

  /** An operator ejects or admits an endpoint. */
  byHand(question: ByHandQuestion): ByHandAnswer {
    return this.#outliers.byHand(question)
  }

  observe(endpoint: Endpoint, outcome: Classification, tookMs: number, head: ResponseHead | null): void {
    // An attempt that began before the endpoint was readmitted does not show its present state.
    if (endpoint.judgedSince !== 0 && this.#deps.clock.now() - tookMs < endpoint.judgedSince) return
    const policy = this.#policy
    if (policy.observe !== null) policy.observe(endpoint, outcome, tookMs, head, this.#policyDeps)
    if (policy.reweigh === null || this.#isLearning) return
    this.#isLearning = true
    this.#learn.arm(REWEIGH_MS)
  }

  observeTrailers(endpoint: Endpoint, trailers: Headers): void {
    this.#policy.observeTrailers?.(endpoint, trailers, this.#policyDeps)
  }

  retire(): void {
    this.budget.close()
    this.update([])
    this.#outliers.stop()
    this.#warmUp.cancel()
    this.#learn.cancel()
    this.admission.close()
  }

  #create(spec: EndpointSpec, name: string): Endpoint {
    const endpoint = this.#deps.createEndpoint(spec, name)
    const { perEndpoint } = this.spec.limits
    if (perEndpoint !== undefined) this.#deps.limitEndpoint?.(endpoint, perEndpoint)
    return endpoint
  }

  #usePolicy(spec: ServiceSpec, { balancer: old }: ServiceSpec): void {
    const { balancer } = spec
    this.#policy = this.#deps.policy(balancer.type)
    this.#policyDeps = { ...this.#policyDeps, spec: balancer }
    this.affinity = affinity(balancer, this.#policy.hashes, this.#deps.random)
    if (balancer.sticky?.secret !== old.sticky?.secret) {
      this.#stickyIdOf = idsOf(spec)
      for (const endpoint of this.endpoints) endpoint.stickyId = ''
    }
    // Weights that one policy learnt mean nothing to another.
    if (balancer.type !== old.type) for (const endpoint of this.endpoints) endpoint.learntWeight = 1
  }

  #nameSubsets(): void {
    const { whole, subsets } = this.#members
    this.whole.holds = whole
    for (const name of this.subsets.keys()) if (!subsets.has(name)) this.subsets.delete(name)
    for (const [name, holds] of subsets) {
      const view = this.subsets.get(name)
      if (view === undefined)
        this.subsets.set(name, new ClusterView(this, `${this.spec.name}/${name}`, holds, this.whole.balance))
      else view.holds = holds
    }
  }

  #replace(specs: readonly EndpointSpec[]): HostSetChange | null {
    const hadAny = this.endpoints.length !== 0
    const change = this.#hosts.replace(specs)
    if (change !== null) this.#settle(change, hadAny)
    return change
  }

  /**
   * Retires endpoints that left. An endpoint that joins others, or passes again, warms up. Endpoints that all came
   * together are equal, so none of them warms up.
   */
  #settle({ added, changed, removed }: HostSetChange, hadAny: boolean): void {
    for (const endpoint of removed) {
      this.#deps.retireEndpoint(endpoint)
      endpoint.retire()
    }
    const now = this.#deps.clock.now()
    if (hadAny) for (const endpoint of added) endpoint.warmingSince = now
    for (const { endpoint, before } of changed) {
      if (endpoint.spec.health !== 'passing') endpoint.warmingSince = -1
      else if (before.health !== 'passing') endpoint.warmingSince = now
    }
  }

  #rebuildTouched(change: HostSetChange): void {
    const touched = this.#views().filter(({ holds }) => isTouched(holds, change))
    this.#gather(touched)
    if (this.#outliers.review()) this.rebuild()
    else this.#build(touched)
  }

  #views(): ClusterView[] {
    return [this.whole, ...this.subsets.values()]
  }

  #gather(views: readonly ClusterView[]): void {
    for (const view of views) {
      const members = this.endpoints.filter(({ spec }) => view.holds(spec))
      view.members = members.length === this.endpoints.length ? this.endpoints : members
    }
  }

  /**
   * The sets of endpoints that requests are shared among. A subset with a fallback is left out: the fallback serves it
   * when it is empty.
   */
  #sets(): readonly NamedSet[] {
    const subsets = [...this.subsets.values()].filter(view => view.members.length > 0 && !this.#hasFallback(view))
    return [{ name: this.name, members: this.endpoints }, ...subsets]
  }

  #hasFallback(view: ClusterView): boolean {
    if (this.spec.subsetFallback === 'any') return true
    const other = this.#otherOf(view)
    return other?.members.some(({ spec }) => spec.health === 'passing') ?? false
  }

  #build(views: readonly ClusterView[]): void {
    // With hashed keys, each step of a slow start would move some of them.
    const slowStart = this.#policy.hashes ? SLOW_START_OFF : this.spec.balancer.slowStart
    if (weigh(this.endpoints, slowStart, this.#deps.clock.now())) this.#warmUp.arm(stepMs(slowStart))
    else this.#warmUp.cancel()
    for (const view of views) view.balance = this.#balance(view)
    const probes = { clock: this.#deps.clock, thread: this.#deps.thread, stickyIdOf: this.#stickyIdOf }
    for (const view of this.#views())
      view.balancer = probePicker(view.balance.probing, withFallback(view.balance, this.#fallbackOf(view)), probes)
  }

  #balance(view: ClusterView | null): Balance {
    return balance(view?.members ?? [], {
      policy: this.#policy,
      policyDeps: this.#policyDeps,
      locality: this.#locality,
      stickyIdOf: this.#stickyIdOf,
      isLimited: this.spec.limits.perEndpoint !== undefined,
    })
  }

  #fallbackOf(view: ClusterView): Balance | null {
    return this.#otherOf(view)?.balance ?? null
  }

  /** What takes the place of a subset, or of the whole service, that has no healthy endpoint; null: nothing. */
  #otherOf(view: ClusterView): ClusterView | null {
    const { subsetFallback, resolve, name } = this.spec
    const isWhole = view === this.whole
    const chosen =
      resolve === undefined ? undefined : own(resolve.fallbacks, isWhole ? '' : view.name.slice(name.length + 1))
    const other =
      chosen !== undefined
        ? this.subsets.get(chosen)
        : isWhole || subsetFallback === 'none'
          ? undefined
          : subsetFallback === 'any'
            ? this.whole
            : this.subsets.get(subsetFallback.subset)
    return other === undefined || other === view ? null : other
  }

  #reweigh(): void {
    this.#isLearning = false
    const used = this.endpoints.filter(({ spec, state }) => spec.health === 'passing' && state !== 'ejected')
    if (this.#policy.reweigh?.(used, this.#policyDeps)) this.rebuild()
  }
}

function divisionOf({ subsets, subsetFallback, resolve }: ServiceSpec): object {
  return [subsets, subsetFallback, resolve ?? null]
}

/** Of a service whose filters were compiled before, or have no pattern. */
function noRegex(pattern: string): never {
  throw new Error(`no engine for the pattern ${pattern} was handed in`)
}

function idsOf({ name, balancer: { sticky } }: ServiceSpec): ((endpoint: string) => string) | null {
  return sticky === null ? null : stickyIds(sticky.secret, name)
}

/** Compares plain data; called at the pace of configuration changes only. */
function isEqual(a: object, b: object): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
