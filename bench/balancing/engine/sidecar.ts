import type { EndpointSpec, ServiceSpec } from '../../../mesh-config/snapshot.ts'
import { policies } from '../../../proxy/balancer/policies.ts'
import { classify } from '../../../proxy/cluster/classify.ts'
import { ServiceCluster } from '../../../proxy/cluster/cluster.ts'
import { ownCells } from '../../../proxy/core/cells.ts'
import type { Clock, Random } from '../../../proxy/core/clock.ts'
import { Endpoint } from '../../../proxy/core/endpoint.ts'
import type { ResponseHead } from '../../../proxy/core/message.ts'
import { outlierDetector } from '../../../proxy/health/outlier.ts'
import { answered, NoPool, noStats, pickContext, quiet } from '../../../test/support/endpoints.ts'
import type { Instance } from './instance.ts'
import type { Request } from './request.ts'

export interface SidecarDeps {
  readonly clock: Clock
  readonly random: Random
  instance(name: string): Instance
  /** A request has its answer. */
  done(request: Request, status: number): void
}

/**
 * One caller's sidecar: the proxy's own cluster, policy and outlier detection. What it does around a pick is what
 * proxy/forward/attempts.ts does, for requests of one attempt and answers whose body comes with the head.
 */
export class Sidecar {
  readonly #cluster: ServiceCluster
  readonly #deps: SidecarDeps
  readonly #instances = new Map<Endpoint, Instance>()
  readonly #context = pickContext()

  constructor(spec: ServiceSpec, deps: SidecarDeps) {
    const { clock } = deps
    this.#deps = deps
    this.#cluster = new ServiceCluster(spec, {
      clock,
      random: deps.random,
      cells: ownCells,
      policy: type => policies[type],
      createEndpoint: (endpointSpec, name) => {
        const endpoint = new Endpoint(endpointSpec, name, new NoPool(), noStats())
        this.#instances.set(endpoint, deps.instance(name))
        return endpoint
      },
      // Its last requests still need their answers.
      retireEndpoint: () => {},
      outliers: (changed, sets) => outlierDetector(spec.name, { ...quiet, clock, random: deps.random, changed, sets }),
      thread: 0,
      locality: { zone: '', origins: {} },
    })
  }

  /** Requests under way, as the cluster and as its endpoints count them. */
  get active(): number {
    let active = this.#cluster.admission.active
    for (const endpoint of this.#instances.keys()) active += Math.abs(endpoint.active)
    return active
  }

  update(endpoints: readonly EndpointSpec[]): void {
    this.#cluster.update(endpoints)
  }

  /** The endpoint; null: none. `hash`: of its caller, or NO_HASH. */
  send(request: Request, hash: number): Instance | null {
    const cluster = this.#cluster
    if (cluster.admission.admit(0) !== null) return null
    const context = this.#context
    context.record.begin(request.sentAt)
    context.hash = hash
    const endpoint = cluster.whole.balancer.pick(context)
    if (endpoint === null) {
      cluster.admission.release()
      return null
    }
    endpoint.active++
    request.endpoint = endpoint
    const instance = this.#instances.get(endpoint)!
    request.instance = instance
    return instance
  }

  answered(request: Request, head: ResponseHead): void {
    const endpoint = request.endpoint!
    const { status } = head
    const outcome = classify(status)
    const { whole } = this.#cluster
    whole.observe(endpoint, outcome, this.#deps.clock.now() - request.sentAt, head)
    whole.report(answered(endpoint, status, request.sentAt), outcome, null, '')
    endpoint.active--
    this.#cluster.admission.release()
    this.#deps.done(request, status)
  }
}
