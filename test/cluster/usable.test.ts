import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { BalancerSpec, EndpointSpec } from '../../mesh-config/snapshot.ts'
import type { Endpoint } from '../../proxy/core/endpoint.ts'
import { pickContext } from '../support/endpoints.ts'
import { seeded } from '../support/random.ts'
import { endpointSpec, serviceSpec } from '../support/specs.ts'
import { clusterOf } from './cluster-of.ts'
import '../support/seed.ts'

const endpoint = fc.record({
  weight: fc.integer({ min: 1, max: 5 }),
  priority: fc.nat(2),
  zone: fc.constantFrom('', 'a', 'b', 'c'),
  health: fc.constantFrom('passing', 'passing', 'passing', 'failing', 'critical', 'maintenance', 'draining'),
  metadata: fc.constantFrom({}, { version: 'v2' }),
  state: fc.constantFrom('admitting', 'admitting', 'admitting', 'ejected', 'probing'),
  tried: fc.boolean(),
}) satisfies fc.Arbitrary<Partial<EndpointSpec> & { state: Endpoint['state']; tried: boolean }>

const balancer = fc.record({
  type: fc.constantFrom('round_robin', 'random', 'least_request', 'ring_hash', 'maglev'),
  panic: fc.record({ health: fc.constantFrom(0, 50, 100), ejected: fc.constantFrom(0, 50, 100) }),
  overprovisioning: fc.constantFrom(1, 1.4, 10),
  zoneAware: fc.record({ on: fc.boolean(), minEndpoints: fc.constantFrom(1, 3) }),
  sticky: fc.constantFrom(null, { cookie: 's', ttlMs: 0, path: '/', secret: 'of the tests' }),
}) satisfies fc.Arbitrary<Partial<BalancerSpec>>

const isUsable = ({ spec, state }: Endpoint) => spec.health === 'passing' && state !== 'ejected'
/** One that is probing gets one request, and no more while there are others. */
const isHealthy = ({ spec, state }: Endpoint) => spec.health === 'passing' && state === 'admitting'

/** Whatever is configured, and whatever came of earlier attempts. */
describe('as long as an endpoint may be used', () => {
  test('one is picked, an untried one if there is one, and never one that must not be', () => {
    fc.assert(
      fc.property(
        fc.array(endpoint, { maxLength: 14 }),
        balancer,
        fc.nat(),
        fc.nat(3),
        fc.constantFrom({}, { a: 3, b: 1 }),
        (drawn, policy, seed, stickyTo, origins) => {
          const spec = serviceSpec(
            'orders',
            drawn.map(({ state: _state, tried: _tried, ...rest }, i) => endpointSpec(`10.0.0.${i}:80`, rest)),
            {
              balancer: { ...policy, tableSize: 101, minimumRingSize: 64 },
              subsets: { v2: { version: 'v2' } },
              subsetFallback: seed % 2 === 0 ? 'none' : 'any',
            },
          )
          const { cluster } = clusterOf(spec, { random: seeded(seed), locality: { zone: 'a', origins } })
          drawn.forEach(({ state }, i) => {
            cluster.endpoints[i]!.state = state
          })
          cluster.rebuild()
          const tried = cluster.endpoints.filter((_, i) => drawn[i]!.tried)
          const v2 = cluster.subsets.get('v2')!
          for (const view of [cluster.whole, v2]) {
            const own = cluster.endpoints.filter(
              ({ spec: { metadata } }) => view === cluster.whole || metadata.version === 'v2',
            )
            const healthy = own.filter(isHealthy)
            for (const hash of [-1, seed % 2 ** 32, 0]) {
              const sticky = cluster.endpoints[stickyTo]?.stickyId ?? ''
              for (const before of [[], tried]) {
                const context = { ...pickContext(before), hash, sticky }
                const picked = view.balancer.pick(context)
                if (picked !== null) {
                  expect(['passing', 'failing']).toContain(picked.spec.health)
                  if (policy.panic.health === 0) expect(picked.spec.health).toBe('passing')
                  if (policy.panic.ejected === 0 && picked.state === 'ejected') expect(own.filter(isUsable)).toEqual([])
                  if (policy.panic.ejected === 0 && picked.state === 'probing' && !context.record.isProbe)
                    expect(healthy).toEqual([])
                  if (healthy.length !== 0) expect(own).toContain(picked)
                }
                // Ejections alone leave nobody without an endpoint.
                if (own.some(({ spec }) => spec.health === 'passing')) expect(picked).not.toBeNull()
                if (healthy.length === 0) continue
                if (healthy.some(each => !before.includes(each))) expect(before).not.toContain(picked)
              }
            }
          }
        },
      ),
      { numRuns: 400 },
    )
  })
})
