import { compileBalancer } from '../../mesh-config/compile-balancer.ts'
import { serviceSchema } from '../../mesh-config/service.ts'
import type { BalancerType } from '../../mesh-config/snapshot.ts'
import { policies } from '../../proxy/balancer/policies.ts'
import type { BalancerDeps, PickContext } from '../../proxy/core/balancer.ts'
import { AttemptRecord } from '../../proxy/core/decision.ts'
import { Endpoint } from '../../proxy/core/endpoint.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { systemClock, systemRandom } from '../../proxy/system/clock.ts'
import type { Case } from './case.ts'

const context: PickContext = { tried: [], record: new AttemptRecord(), hash: 0, sticky: '', madeCookie: '' }
const head = {
  status: 200,
  headers: new HeaderList([
    'content-type',
    'text/plain',
    'content-length',
    '12',
    'date',
    'Sat, 21 Nov 2026 07:54:36 GMT',
  ]),
}

/** Endpoints with nothing behind them: a pick looks at weight and load only. */
function endpoints(count: number, weight: (i: number) => number): Endpoint[] {
  return Array.from({ length: count }, (_, i) => {
    const spec = {
      address: '127.0.0.1',
      port: 9000 + i,
      weight: weight(i),
      priority: 0,
      zone: '',
      metadata: {},
      health: 'passing',
      healthReason: '',
    } as const
    return new Endpoint(spec, `127.0.0.1:${9000 + i}`, null as never, null as never)
  })
}

function depsOf(type: BalancerType, overrides: Partial<BalancerDeps['spec']> = {}): BalancerDeps {
  return {
    clock: systemClock,
    random: systemRandom,
    spec: { ...compileBalancer(serviceSchema.parse({}).balancer), type, ...overrides },
  }
}

const even = () => 1
const uneven = (i: number) => 1 + (i % 5)

interface PickCase {
  readonly weight?: (i: number) => number
  readonly spec?: Partial<BalancerDeps['spec']>
}

/** A pick by a new key each time, among endpoints that are measured and busy. */
function pick(type: BalancerType, count: number, { weight = even, spec = {} }: PickCase = {}): Case {
  return {
    setup: () => {
      const deps = depsOf(type, spec)
      const all = endpoints(count, weight)
      all.forEach((endpoint, i) => {
        endpoint.active = i % 3
        policies[type].observe?.(endpoint, 'success', 10 + (i % 7), head, deps)
      })
      const picker = policies[type].create(all, deps)
      let key = 0
      return () => {
        key = (key + 0x9e3779b) & 0x7fffffff
        context.hash = key
        return picker.pick(context)
      }
    },
  }
}

/** New pickers, as when one endpoint of so many has changed. */
function build(type: BalancerType, count: number, { weight = even, spec = {} }: PickCase = {}): Case {
  return {
    setup: () => {
      const deps = depsOf(type, spec)
      const all = endpoints(count, weight)
      return () => policies[type].create(all, deps)
    },
  }
}

function observe(type: BalancerType): Case {
  return {
    setup: () => {
      const deps = depsOf(type)
      const [endpoint] = endpoints(1, even)
      const { observe: learn } = policies[type]
      return () => learn!(endpoint!, 'success', 10, head, deps)
    },
  }
}

function reweigh(type: BalancerType): Case {
  return {
    setup: () => {
      const deps = depsOf(type)
      const all = endpoints(10_000, uneven)
      for (const [i, endpoint] of all.entries()) policies[type].observe!(endpoint, 'success', 10 + (i % 7), head, deps)
      return () => policies[type].reweigh!(all, deps)
    },
  }
}

export const roundRobinOf3 = pick('round_robin', 3)
export const roundRobinOf100 = pick('round_robin', 100)
export const roundRobinOf10000 = pick('round_robin', 10_000)
export const roundRobinOf100Weighted = pick('round_robin', 100, { weight: uneven })
export const roundRobinOf10000Weighted = pick('round_robin', 10_000, { weight: uneven })
export const randomOf3 = pick('random', 3)
export const randomOf10000Weighted = pick('random', 10_000, { weight: uneven })
export const leastRequestOf3 = pick('least_request', 3)
export const leastRequestOf3FullScan = pick('least_request', 3, { spec: { fullScan: 3 } })
export const leastRequestOf100 = pick('least_request', 100)
export const leastRequestOf100FiveChoices = pick('least_request', 100, { spec: { choices: 5 } })
export const leastRequestOf10000 = pick('least_request', 10_000)
export const leastRequestOf10000Weighted = pick('least_request', 10_000, { weight: uneven })
export const ipHashOf3 = pick('ip_hash', 3)
export const ipHashOf10000 = pick('ip_hash', 10_000)
export const ringHashOf3 = pick('ring_hash', 3)
export const ringHashOf100 = pick('ring_hash', 100)
export const ringHashOf10000 = pick('ring_hash', 10_000)
export const maglevOf3 = pick('maglev', 3)
export const maglevOf100 = pick('maglev', 100)
export const maglevOf10000 = pick('maglev', 10_000)
export const maglevOf3Bounded = pick('maglev', 3, { spec: { hashBalanceFactor: 125 } })
export const maglevOf100Bounded = pick('maglev', 100, { spec: { hashBalanceFactor: 125 } })
export const maglevOf10000Bounded = pick('maglev', 10_000, { spec: { hashBalanceFactor: 125 } })
export const peakEwmaOf3 = pick('peak_ewma', 3)
export const peakEwmaOf100 = pick('peak_ewma', 100)
export const peakEwmaOf10000 = pick('peak_ewma', 10_000)
export const responseTimeOf10000Weighted = pick('response_time', 10_000, { weight: uneven })
export const adaptiveOf3 = pick('adaptive', 3)
export const adaptiveOf10000Weighted = pick('adaptive', 10_000, { weight: uneven })

export const observeLeastRequest = observe('least_request')
export const observePeakEwma = observe('peak_ewma')
export const observeResponseTime = observe('response_time')
export const observeAdaptive = observe('adaptive')

export const buildRoundRobinOf10000 = build('round_robin', 10_000)
export const buildRoundRobinOf10000Weighted = build('round_robin', 10_000, { weight: uneven })
export const buildRandomOf10000Weighted = build('random', 10_000, { weight: uneven })
export const buildLeastRequestOf10000Weighted = build('least_request', 10_000, { weight: uneven })
export const buildPeakEwmaOf10000Weighted = build('peak_ewma', 10_000, { weight: uneven })
export const buildAdaptiveOf10000Weighted = build('adaptive', 10_000, { weight: uneven })
export const buildRingHashOf10000 = build('ring_hash', 10_000)
export const buildRingHashOf10000Weighted = build('ring_hash', 10_000, { weight: uneven })
export const buildRingHashOf3 = build('ring_hash', 3)
export const buildMaglevOf3 = build('maglev', 3)
export const buildMaglevOf10000 = build('maglev', 10_000)
export const buildMaglevOf10000Weighted = build('maglev', 10_000, { weight: uneven })
export const reweighResponseTimeOf10000 = reweigh('response_time')
export const reweighAdaptiveOf10000 = reweigh('adaptive')
