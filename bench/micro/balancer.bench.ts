import { leastRequest } from '../../proxy/balancer/least-request.ts'
import { random } from '../../proxy/balancer/random.ts'
import { roundRobin } from '../../proxy/balancer/round-robin.ts'
import type { LoadBalancerFactory } from '../../proxy/core/balancer.ts'
import { AttemptRecord } from '../../proxy/core/decision.ts'
import { Endpoint } from '../../proxy/core/endpoint.ts'

const context = { tried: [], record: new AttemptRecord() }

/** Endpoints with nothing behind them: a pick looks at weight and load only. */
function endpoints(count: number, weight: (i: number) => number): Endpoint[] {
  return Array.from({ length: count }, (_, i) => {
    const spec = { address: '127.0.0.1', port: 9000 + i, weight: weight(i), zone: '', metadata: {}, health: 'passing' } as const
    return new Endpoint(spec, `127.0.0.1:${9000 + i}`, null as never, null as never)
  })
}

function pick(factory: LoadBalancerFactory, count: number, weight: (i: number) => number = () => 1) {
  return {
    setup: () => {
      const picker = factory(endpoints(count, weight), Math.random)
      return () => picker.pick(context)
    },
  }
}

export const roundRobinOf3 = pick(roundRobin, 3)
export const roundRobinOf10000 = pick(roundRobin, 10_000)
export const randomOf3 = pick(random, 3)
export const randomOf10000Weighted = pick(random, 10_000, i => 1 + (i % 5))
export const leastRequestOf3 = pick(leastRequest, 3)
export const leastRequestOf100 = pick(leastRequest, 100)
export const leastRequestOf10000 = pick(leastRequest, 10_000)
export const leastRequestOf10000Weighted = pick(leastRequest, 10_000, i => 1 + (i % 5))
