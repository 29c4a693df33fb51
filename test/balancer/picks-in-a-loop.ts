import type { BalancerSpec, BalancerType } from '../../mesh-config/snapshot.ts'
import { policies } from '../../proxy/balancer/policies.ts'
import type { BalancerDeps, BalancerPolicy } from '../../proxy/core/balancer.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { bareEndpoints, pickContext } from '../support/endpoints.ts'
import { balancerSpec } from '../support/specs.ts'

/**
 * Prints how many bytes a pick, and what is learnt from an answer, leave on the heap, by policy. Chance and time are
 * made beforehand: what Math.random gives is an object, 16 bytes.
 */

const CALLS = 100_000
const fractions = Array.from({ length: 1021 }, (_, i) => ((i * 617) % 1021) / 1021)
const moments = Array.from({ length: 1000 }, (_, i) => 1_000_000 + i)
let at = 0
const deps = (type: BalancerType, settings: Partial<BalancerSpec>): BalancerDeps => ({
  clock: { now: () => moments[at % 1000]!, wallTime: () => 0, timer: () => ({ arm() {}, cancel() {} }) },
  random: () => fractions[at++ % 1021]!,
  spec: balancerSpec({ type, ...settings }),
})

function bytesOf(run: () => unknown): number {
  for (let i = 0; i < 3 * CALLS; i++) run()
  const grown: number[] = []
  for (let probe = 0; probe < 7; probe++) {
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < CALLS; i++) run()
    grown.push((process.memoryUsage().heapUsed - before) / CALLS)
  }
  // The collector may run, and a compiler finish, in one probe or another.
  return grown.toSorted((a, b) => a - b)[3]!
}

const results: Record<string, number> = {}
const head = { status: 200, headers: new HeaderList(['content-type', 'text/plain']) }

function measure(type: BalancerType, settings: Partial<BalancerSpec> = {}): void {
  const policy: BalancerPolicy = policies[type]
  const own = deps(type, settings)
  const endpoints = bareEndpoints(Array.from({ length: 20 }, (_, i) => 1 + (i % 3)))
  endpoints.forEach((endpoint, i) => {
    endpoint.active = i % 4
    policy.observe?.(endpoint, 'success', 10.5 + i, head, own)
  })
  const picker = policy.create(endpoints, own)
  const context = pickContext()
  let key = 1
  const name = `${type} ${Object.entries(settings).join()}`.trim()
  results[name] = bytesOf(() => {
    key = (key * 75) % 65_537
    context.hash = key * 32_749
    return picker.pick(context)
  })
  if (policy.observe !== null)
    results[`${name}, learning`] = bytesOf(() => policy.observe!(endpoints[at++ % 20]!, 'success', 12, head, own))
}

let sink: unknown
results['an object each time'] = bytesOf(() => {
  sink = { at }
  return sink
})
for (const type of Object.keys(policies) as BalancerType[]) measure(type)
measure('least_request', { choices: 5 })
measure('least_request', { fullScan: 64 })
measure('least_request', { activeRequestBias: 2 })
measure('maglev', { hashBalanceFactor: 110 })
measure('ring_hash', { hashBalanceFactor: 110 })
console.log(JSON.stringify(results))
