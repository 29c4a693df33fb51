import type { BalancerType, ServiceSpec } from '../../mesh-config/snapshot.ts'
import { policies } from '../../proxy/balancer/policies.ts'
import { ServiceCluster } from '../../proxy/cluster/cluster.ts'
import type { Locality } from '../../proxy/cluster/zone.ts'
import type { BalancerPolicy, LoadBalancer, PickContext } from '../../proxy/core/balancer.ts'
import { type Cells, ownCells } from '../../proxy/core/cells.ts'
import type { Random } from '../../proxy/core/clock.ts'
import { ENDPOINT_WORDS } from '../../proxy/core/ejection.ts'
import { Endpoint } from '../../proxy/core/endpoint.ts'
import { outlierDetector } from '../../proxy/health/outlier.ts'
import { manualClock } from '../support/clock.ts'
import { NoPool, noStats, pickContext, quiet } from '../support/endpoints.ts'
import { EventLoop } from '../support/event-loop.ts'
import { seeded } from '../support/random.ts'

export interface ClusterOptions {
  readonly locality?: Locality
  readonly random?: Random
  /** In the place of the policy that the spec names. */
  readonly policy?: (type: BalancerType) => BalancerPolicy
  /** Of one data thread of several. */
  readonly cells?: Cells
  readonly loop?: EventLoop
}

/** A cluster with real policies and real outlier detection, on virtual time; nobody can connect to its endpoints. */
export function clusterOf(spec: ServiceSpec, options: ClusterOptions = {}) {
  const { loop = new EventLoop(), cells = ownCells } = options
  const clock = manualClock(loop)
  const retired: string[] = []
  const built: number[] = []
  const policyOf = options.policy ?? (type => policies[type])
  const cluster = new ServiceCluster(spec, {
    clock,
    random: options.random ?? seeded(1),
    cells: ownCells,
    policy(type) {
      const policy = policyOf(type)
      return {
        ...policy,
        create(endpoints, deps) {
          built.push(endpoints.length)
          return policy.create(endpoints, deps)
        },
      }
    },
    locality: options.locality ?? { zone: '', origins: {} },
    createEndpoint: (endpoint, name) =>
      new Endpoint(endpoint, name, new NoPool(), noStats(), cells.open(`${spec.name} ${name}`, ENDPOINT_WORDS)),
    retireEndpoint: ({ name }) => retired.push(name),
    thread: cells.thread,
    outliers: (changed, sets) =>
      outlierDetector(spec.name, { ...quiet, cells, clock, random: seeded(1), changed, sets }),
  })
  return {
    cluster,
    loop,
    retired,
    /** With how many endpoints a picker of the policy was made, each time. */
    built,
    endpoint: (name: string) => cluster.endpoints.find(endpoint => endpoint.name === name)!,
  }
}

/** All that a picker hands out. */
export function reachable({ balancer }: { readonly balancer: LoadBalancer }): string[] {
  return [...tally(balancer, 400, ({ name }) => name).keys()].sort()
}

/** How often each kind of endpoint comes. */
export function tally(
  balancer: LoadBalancer,
  picks: number,
  kind: (endpoint: Endpoint) => string,
  context: () => PickContext = pickContext,
): Map<string, number> {
  const counts = new Map<string, number>()
  for (let i = 0; i < picks; i++) {
    const endpoint = balancer.pick(context())
    if (endpoint === null) continue
    counts.set(kind(endpoint), (counts.get(kind(endpoint)) ?? 0) + 1)
  }
  return counts
}

/** Shares in percent of all picks. */
export function shares(
  balancer: LoadBalancer,
  picks: number,
  kind: (endpoint: Endpoint) => string,
  context?: () => PickContext,
): Record<string, number> {
  const counts = tally(balancer, picks, kind, context)
  return Object.fromEntries([...counts].map(([name, count]) => [name, (100 * count) / picks]))
}
