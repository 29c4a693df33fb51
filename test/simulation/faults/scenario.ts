import { FAULTS, type Fault } from '../../../bench/resilience/fault.ts'
import type { EndpointSpec, ListenerSpec, RouteSpec, ServiceSpec, Snapshot } from '../../../mesh-config/snapshot.ts'
import type { Random } from '../../../proxy/core/clock.ts'
import type { WireOptions } from '../../support/memory-wire.ts'
import { between, pick, seeded } from '../../support/random.ts'
import {
  balancerSpec,
  endpointSpec,
  listenerSpec,
  matchSpec,
  routeSpec,
  serviceSpec,
  snapshotOf,
} from '../../support/specs.ts'

/** All that a seed decides before anything runs. What a new feature of a policy needs here is one line of `policy`. */
export interface Scenario {
  readonly threads: number
  readonly services: readonly ServicePlan[]
  readonly wire: WireOptions
  readonly changes: readonly Change[]
}

export interface ServicePlan {
  readonly name: string
  readonly protocol: 'http1' | 'http2'
  readonly instances: readonly InstancePlan[]
  /** Requests a second. */
  readonly rate: number
  /** One in so many requests is given up by its caller. */
  readonly cancelled: number
  /** What the callers speak. */
  readonly callers: 'http1' | 'http2'
  readonly policy: Policy
  /** Of the route `/fast/*`, where it differs. */
  readonly fast: Pick<RouteSpec, 'timeouts' | 'retries'>
  /** `/fast/*` goes to a subset: every second instance. */
  readonly isDivided: boolean
}

/** Any field of the spec of a service. */
type Policy = Partial<ServiceSpec> & Pick<ServiceSpec, 'balancer' | 'timeouts' | 'retries' | 'limits' | 'outliers'>

export interface InstancePlan {
  readonly address: string
  /** The mean of its exponential distribution. */
  readonly latencyMs: number
  readonly priority: number
  readonly spells: readonly Spell[]
}

export interface Spell {
  readonly fault: Fault
  readonly fromMs: number
  readonly toMs: number
}

/** In the middle: other endpoints (told apart from the snapshot, or with a new one), or another policy. */
export interface Change {
  readonly atMs: number
  readonly service: number
  readonly how: 'endpoints' | 'reload'
  /** Of each instance: its health, or null where the registry does not have it. */
  readonly healths: readonly (EndpointSpec['health'] | null)[]
  readonly balancer: 'round_robin' | 'random' | 'least_request'
}

export const RUN_MS = 6000

export function scenario(seed: number): Scenario {
  const random = seeded(seed)
  const services = Array.from({ length: between(random, 1, 3) }, (_, i) => service(random, i))
  return {
    threads: pick(random, [1, 1, 2]),
    services,
    wire: { latencyMs: between(random, 0, 2), window: pick(random, [16_384, 65_536]) },
    changes: Array.from({ length: between(random, 0, 4) }, () => change(random, services)).sort(
      (a, b) => a.atMs - b.atMs,
    ),
  }
}

function service(random: Random, index: number): ServicePlan {
  const own = policy(random)
  const fastMs = pick(random, [0, 100, 250])
  const attempts = pick(random, [0, 1, 3])
  const priorities = pick(random, [1, 1, 2])
  return {
    name: ['orders', 'users', 'stock'][index]!,
    protocol: pick(random, ['http1', 'http1', 'http2']),
    instances: Array.from({ length: between(random, 1, 5) }, (_, i) =>
      instance(random, `10.0.${index}.${i + 1}:80`, i % priorities),
    ),
    rate: pick(random, [5, 15, 40]),
    cancelled: pick(random, [0, 0, 10, 50]),
    callers: pick(random, ['http1', 'http1', 'http2']),
    policy: own,
    fast: {
      timeouts: fastMs === 0 ? null : { ...own.timeouts, requestMs: fastMs },
      retries: attempts === 0 ? null : { ...own.retries, attempts },
    },
    isDivided: pick(random, [false, false, true]),
  }
}

function instance(random: Random, address: string, priority: number): InstancePlan {
  const spells: Spell[] = []
  // Most are well for most of the time.
  for (let at = between(random, 0, 3000); random() < 0.6 && at < RUN_MS; ) {
    const toMs = at + pick(random, [100, 500, 2000, RUN_MS])
    spells.push({ fault: pick(random, FAULTS), fromMs: at, toMs })
    at = toMs + between(random, 0, 1500)
  }
  return { address, latencyMs: pick(random, [1, 5, 30]), priority, spells }
}

const HEDGE_LATE = { afterMs: 0, percentile: 90, minSamples: 20 }
const BREAKER = {
  errorPercent: 50,
  slowCallMs: 100,
  slowPercent: 80,
  windowMs: 1000,
  volume: 5,
  openMs: 300,
  maxOpenMs: 1000,
  jitterPercent: 10,
  probes: 2,
}
const CONCURRENCY = {
  enforce: true,
  minLimit: 3,
  maxLimit: 100,
  bufferPercent: 25,
  percentile: 50,
  updateMs: 100,
  minRttIntervalMs: 2000,
  minRttRequests: 10,
  minRttJitterPercent: 15,
}

/** Each request has an end: by `request`, or by `perTry` and what the connection has. */
function policy(random: Random): Policy {
  const [requestMs, perTryMs] = pick(random, [
    [300, 0],
    [1500, 0],
    [1500, 100],
    [0, 150],
  ] as const)
  const spec = serviceSpec('', [], {
    balancer: pick(random, ['round_robin', 'random', 'least_request', 'peak_ewma']),
    timeouts: { connectMs: pick(random, [50, 200]), requestMs, perTryMs, idleMs: pick(random, [400, 5000]) },
    retries: {
      on: pick(random, [
        [],
        ['connect-failure', 'refused-stream', 'reset-before-response'],
        ['connect-failure', 'refused-stream', 'reset-before-response', 'per-try-timeout', 'gateway-error'],
      ]),
      attempts: between(random, 1, 4),
      ...pick(random, [{}, { hedge: { afterMs: 20, percentile: 95, minSamples: 20 } }, { hedge: HEDGE_LATE }]),
      budget: { percent: pick(random, [0, 20, 100]), minPerSecond: pick(random, [0, 1, 10]) },
    },
    limits: {
      connections: pick(random, [2, 8, 10_000]),
      pending: pick(random, [0, 3, 10_000]),
      requests: pick(random, [4, 10_000]),
    },
    outliers: {
      consecutiveGatewayFailures: pick(random, [0, 2, 5]),
      baseEjectionMs: 300,
      maxEjectionMs: 1000,
      maxEjectedPercent: pick(random, [30, 50, 100]),
    },
  })
  const { balancer, timeouts, retries, limits, outliers } = spec
  return {
    balancer,
    timeouts,
    retries,
    limits: {
      ...limits,
      ...pick(random, [{}, { retries: 1 }]),
      ...pick(random, [{}, { perEndpoint: { requests: 3 } }]),
    },
    outliers: {
      ...outliers,
      intervalMs: 500,
      ...pick(random, [{}, { consecutive5xx: 3 }]),
      ...pick(random, [{}, { consecutiveLocalFailures: 2 }]),
      ...pick(random, [{}, { failurePercentage: { percent: 50, minEndpoints: 2, minRequests: 3 } }]),
      ...pick(random, [{}, { latency: { factor: 3, minExcessMs: 10, minEndpoints: 3, minRequests: 3 } }]),
    },
    ...pick(random, [{}, {}, { breaker: BREAKER }]),
    ...pick(random, [{}, {}, { concurrency: CONCURRENCY }]),
    ...pick(random, [{}, {}, { queue: { requests: 10, intervalMs: 100, targetMs: 5 } }]),
  }
}

function change(random: Random, services: readonly ServicePlan[]): Change {
  const index = between(random, 0, services.length - 1)
  return {
    atMs: between(random, 300, RUN_MS - 500),
    service: index,
    how: pick(random, ['endpoints', 'reload']),
    healths: services[index]!.instances.map(() =>
      pick(random, ['passing', 'passing', 'passing', 'failing', 'draining', 'critical', null]),
    ),
    balancer: pick(random, ['round_robin', 'random', 'least_request']),
  }
}

/** What the registry says of the instances; as `change.healths` has them where there was one. */
export function endpointsOf({ instances }: ServicePlan, healths: Change['healths'] | undefined): EndpointSpec[] {
  return instances.flatMap(({ address, priority }, i) => {
    const health = healths === undefined ? 'passing' : healths[i]!
    const metadata = { subset: subsetOf(i) }
    return health === null ? [] : [endpointSpec(address, { health, priority, metadata })]
  })
}

export function subsetOf(instance: number): 'even' | 'odd' {
  return instance % 2 === 0 ? 'even' : 'odd'
}

export type LastChanges = ReadonlyMap<ServicePlan, Change>

export function snapshotFor({ services }: Scenario, changes: LastChanges): Snapshot {
  const listeners: ListenerSpec[] = [listenerSpec()]
  const specs = services.map(plan => {
    const last = changes.get(plan)
    const { name, policy: own, protocol, fast, isDivided } = plan
    const spec = serviceSpec(name, endpointsOf(plan, last?.healths), {
      ...(protocol === 'http2' && { protocol }),
      ...(isDivided && { subsets: { even: { subset: 'even' } } }),
      routes: [
        routeSpec({
          ...fast,
          service: name,
          name: '/fast/*',
          match: matchSpec({ path: { kind: 'prefix', value: '/fast/' } }),
          to: [{ service: name, subset: isDivided ? 'even' : null, weight: 1 }],
        }),
        routeSpec({ service: name }),
      ],
    })
    return { ...spec, ...own, ...(last?.how === 'reload' && { balancer: balancerSpec({ type: last.balancer }) }) }
  })
  return snapshotOf(specs, listeners, { flights: { recent: 20_000, failed: 0 } })
}
