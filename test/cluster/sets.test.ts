import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import { answered, pickContext } from '../support/endpoints.ts'
import { seeded } from '../support/random.ts'
import { endpointSpec, serviceSpec } from '../support/specs.ts'
import { clusterOf } from './cluster-of.ts'
import '../support/seed.ts'

const names = ['a:1', 'b:1', 'c:1', 'd:1', 'e:1']

const change = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('fail'), name: fc.constantFrom(...names) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('succeed'), name: fc.constantFrom(...names) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leave'), name: fc.constantFrom(...names) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('hold'), name: fc.constantFrom(...names) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait'), ms: fc.constantFrom(10, 1_100, 20_000) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('put'),
      name: fc.constantFrom(...names),
      priority: fc.nat(1),
      zone: fc.constantFrom('x', 'y'),
      health: fc.constantFrom('passing', 'passing', 'failing', 'critical', 'draining'),
      version: fc.constantFrom('v1', 'v2'),
    }),
  },
)

/** Whole service, subsets, priorities, zones: as endpoints come, go, change, fail, and are ejected by hand. */
test('no set is left without an endpoint that gets requests, as long as one passes its checks', () => {
  fc.assert(
    fc.property(
      fc.array(change as fc.Arbitrary<Record<string, unknown>>, { maxLength: 40 }),
      fc.constantFrom(0, 10, 50, 100),
      fc.constantFrom('none', 'any'),
      fc.nat(),
      (changes, maxEjectedPercent, subsetFallback, seed) => {
        const outliers = { consecutiveGatewayFailures: 2, baseEjectionMs: 1000, maxEjectionMs: 5000, maxEjectedPercent }
        const spec = serviceSpec(
          'orders',
          ['a:1', 'b:1', 'c:1'].map(name => endpointSpec(name)),
          {
            outliers,
            subsets: { v1: { version: 'v1' }, v2: { version: 'v2' } },
            subsetFallback: subsetFallback as 'none',
            balancer: { zoneAware: { on: true, minEndpoints: 2 } },
          },
        )
        const { cluster, loop } = clusterOf(spec, {
          random: seeded(seed),
          locality: { zone: 'x', origins: { x: 1, y: 1 } },
        })
        for (const { kind, name, ms, ...facts } of changes as { kind: string; name: string; ms: number }[]) {
          const endpoint = cluster.endpoints.find(each => each.name === name)
          if (kind === 'wait') loop.advance(ms)
          else if (kind === 'leave') cluster.change({ put: [], drop: [name] })
          else if (kind === 'put') {
            const { version, ...rest } = facts as { version: string } & Partial<EndpointSpec>
            cluster.change({ put: [endpointSpec(name, { ...rest, metadata: { version } })], drop: [] })
          } else if (kind === 'hold')
            cluster.byHand({ service: 'orders', endpoint: name, ejectForMs: 3_000, force: false })
          else if (endpoint !== undefined && kind === 'fail')
            for (let i = 0; i < 2; i++) cluster.report(answered(endpoint, 503, loop.now), 'failure', null, '')
          else if (endpoint !== undefined) cluster.report(answered(endpoint, 200, loop.now), 'success', null, '')
          for (const view of [cluster.whole, ...cluster.subsets.values()]) {
            const passing = view.members.filter(each => each.spec.health === 'passing')
            for (let i = 0; i < 3; i++) {
              const context = pickContext()
              const picked = view.balancer.pick(context)
              if (passing.length > 0) expect(picked).not.toBeNull()
              // It is used all the same only where nothing better is left.
              const isOut = picked?.state === 'ejected' && !context.record.isProbe
              if (isOut)
                expect(
                  view.members.filter(each => each.spec.health === 'passing' && each.state === 'admitting'),
                ).toEqual([])
            }
            // The whole service, and each subset that nothing else serves, keeps its share.
            const isGuarded = view === cluster.whole || (subsetFallback === 'none' && passing.length > 1)
            const ejected = passing.filter(({ state, byHand }) => state === 'ejected' && byHand === 'no')
            const counted = passing.filter(({ byHand }) => byHand === 'no')
            if (isGuarded && view.members.length > 1 && counted.length > 0)
              expect(ejected.length).toBeLessThanOrEqual(
                maxEjectedPercent === 0
                  ? 0
                  : Math.min(counted.length - 1, Math.max(1, Math.floor((counted.length * maxEjectedPercent) / 100))),
              )
          }
        }
      },
    ),
    { numRuns: 300 },
  )
})
