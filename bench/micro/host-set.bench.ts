import { compileBalancer } from '../../mesh-config/compile-balancer.ts'
import { serviceSchema } from '../../mesh-config/service.ts'
import type { BalancerSpec, EndpointSpec, ServiceSpec } from '../../mesh-config/snapshot.ts'
import { policies } from '../../proxy/balancer/policies.ts'
import { ServiceCluster } from '../../proxy/cluster/cluster.ts'
import type { Locality } from '../../proxy/cluster/zone.ts'
import { NO_HASH, type PickContext } from '../../proxy/core/balancer.ts'
import { ownCells } from '../../proxy/core/cells.ts'
import { AttemptRecord } from '../../proxy/core/decision.ts'
import { Endpoint } from '../../proxy/core/endpoint.ts'
import { deltaOf } from '../../proxy/core/endpoints-delta.ts'
import { systemClock, systemRandom } from '../../proxy/system/clock.ts'
import type { PreparedCase } from './case.ts'

const COUNT = 10_000

function spec(i: number, weight = 1): EndpointSpec {
  const address = `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`
  return {
    address,
    port: 8080,
    weight,
    priority: 0,
    zone: 'abc'[i % 3]!,
    metadata: { version: i % 10 === 0 ? 'v2' : 'v1' },
    health: 'passing',
    healthReason: '',
  }
}

const specs = (weight: (i: number) => number = () => 1): EndpointSpec[] =>
  Array.from({ length: COUNT }, (_, i) => spec(i, weight(i)))

const service = serviceSchema.parse({})
const even = () => 1
const uneven = (i: number) => 1 + (i % 5)

interface Setting {
  readonly balancer?: Partial<BalancerSpec>
  readonly weight?: (i: number) => number
  readonly locality?: Locality
  readonly subsets?: ServiceSpec['subsets']
  readonly priority?: (i: number) => number
  readonly health?: (i: number) => EndpointSpec['health']
}

/** 10,000 endpoints with nothing behind them. */
function clusterOf({
  balancer = {},
  weight = even,
  locality = { zone: '', origins: {} },
  subsets = {},
  priority = () => 0,
  health = () => 'passing',
}: Setting): ServiceCluster {
  const whole = {
    name: 'orders',
    endpoints: specs(weight).map((each, i) => ({ ...each, priority: priority(i), health: health(i) })),
    balancer: { ...compileBalancer(service.balancer), ...balancer },
    subsets,
    subsetFallback: 'none',
    retries: { budget: { percent: 20, minPerSecond: 10 } },
    limits: { requests: 1 },
  }
  return new ServiceCluster(whole as unknown as ServiceSpec, {
    clock: systemClock,
    random: systemRandom,
    cells: ownCells,
    policy: type => policies[type],
    locality,
    thread: 0,
    createEndpoint: (endpoint, name) => new Endpoint(endpoint, name, null as never, null as never),
    retireEndpoint() {},
    outliers: () => ({
      configure() {},
      review: () => false,
      resume() {},
      report() {},
      byHand: () => ({ done: false, why: '' }),
      stop() {},
    }),
  })
}

/** One of them changes its weight. */
function change(setting: Setting = {}): PreparedCase {
  return {
    setup: () => {
      const cluster = clusterOf(setting)
      let turn = 0
      return () => {
        turn++
        cluster.change({ put: [spec((turn * 7) % COUNT, 1 + (turn % 7))], drop: [] })
        return cluster.whole.balancer
      }
    },
  }
}

export const changeOneLeastRequest = change({ balancer: { type: 'least_request' }, weight: uneven })
export const changeOneRoundRobin = change({ balancer: { type: 'round_robin' }, weight: uneven })
export const changeOneAdaptive = change({ balancer: { type: 'adaptive' } })
export const changeOneMaglev = change({ balancer: { type: 'maglev' } })
export const changeOneRingHash = change({ balancer: { type: 'ring_hash' } })
export const changeOneInZones = change({ locality: { zone: 'a', origins: { a: 5, b: 1 } }, weight: uneven })
export const changeOneSticky = change({
  balancer: { sticky: { cookie: 's', ttlMs: 0, path: '/', secret: 'of the tests' } },
  weight: uneven,
})
export const changeOneOfASubset = change({ subsets: { v1: { version: 'v1' }, v2: { version: 'v2' } }, weight: uneven })
export const changeOneRandomSubset = change({ balancer: { subsetSize: 100 } })

/** One comes, one goes. */
export const replaceOne: PreparedCase = {
  setup: () => {
    const cluster = clusterOf({})
    let turn = 0
    return () => {
      cluster.change({
        put: [spec(COUNT + turn)],
        drop: [`10.${(turn >> 16) & 255}.${(turn >> 8) & 255}.${turn & 255}:8080`],
      })
      turn = (turn + 1) % 100_000
      return cluster.endpoints.length
    }
  },
}

/**
 * A whole set in which one is other, as a source without deltas brings it: on the data thread, and its diff on the
 * control thread.
 */
export const wholeSetWithOneChange: PreparedCase = {
  setup: () => {
    const cluster = clusterOf({})
    const sets = [specs(), specs(i => (i === 5000 ? 2 : 1))]
    let turn = 0
    return () => {
      cluster.update(sets[++turn % 2]!)
      return cluster.whole.balancer
    }
  },
}

export const deltaOfOneChange: PreparedCase = {
  setup: () => {
    const a = specs()
    const b = specs(i => (i === 5000 ? 2 : 1))
    return () => deltaOf(a, b)
  },
}

export const deltaOfTheSame: PreparedCase = {
  setup: () => {
    const a = specs()
    const b = specs()
    return () => deltaOf(a, b)
  },
}

/** A pick through the stages before the policy. */
function pick(setting: Setting, sticky = false): PreparedCase {
  return {
    setup: () => {
      const cluster = clusterOf(setting)
      const context: PickContext = { tried: [], record: new AttemptRecord(), hash: NO_HASH, sticky: '', madeCookie: '' }
      if (sticky) context.sticky = cluster.endpoints[4321]!.stickyId
      const { balancer } = cluster.whole
      return () => balancer.pick(context)
    },
  }
}

export const pickPlain = pick({})
export const pickInZones = pick({ locality: { zone: 'a', origins: { a: 5, b: 1 } } })
export const pickSticky = pick(
  { balancer: { sticky: { cookie: 's', ttlMs: 0, path: '/', secret: 'of the tests' } } },
  true,
)
export const pickByPriority = pick({
  priority: i => (i % 4 === 0 ? 0 : 1),
  health: i => (i % 8 === 0 ? 'failing' : 'passing'),
})
