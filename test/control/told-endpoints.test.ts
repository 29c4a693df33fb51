import { describe, expect, test } from 'vitest'
import type { EndpointSpec } from '../../mesh-config/snapshot.ts'
import { toldEndpoints } from '../../proxy/control/told-endpoints.ts'
import type { ToData } from '../../proxy/core/channel.ts'
import { endpointSpec, serviceSpec, snapshotOf } from '../support/specs.ts'

const [one, two, three] = ['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80'].map(address => endpointSpec(address)) as [
  EndpointSpec,
  EndpointSpec,
  EndpointSpec,
]

function start() {
  const sent: ToData[] = []
  return { ...toldEndpoints({ tell: message => void sent.push(message) }, (_service, endpoints) => endpoints), sent }
}

describe('what data threads are told of endpoints', () => {
  test('is nothing of a service that no snapshot has: it comes with one', () => {
    const { fill, changed, sent } = start()
    changed('orders', [one])
    const snapshot = snapshotOf([serviceSpec('orders', [three]), serviceSpec('users', [three])])
    const filled = fill(snapshot, name => (name === 'orders' ? [one, two] : null))
    expect(sent).toEqual([])
    expect(filled.origins).toEqual({})
    expect(Object.values(filled.snapshot.services).map(({ endpoints }) => endpoints)).toEqual([[one, two], [three]])
  })

  test('is what differs from what they were told before', () => {
    const { fill, changed, sent } = start()
    fill(snapshotOf([serviceSpec('orders', [])]), () => [one, two])
    changed('orders', [two, three])
    changed('orders', [two, three])
    changed('orders', [three])
    expect(sent).toEqual([
      { kind: 'endpoints', service: 'orders', delta: { put: [three], drop: ['10.0.0.1:80'] } },
      { kind: 'endpoints', service: 'orders', delta: { put: [], drop: ['10.0.0.2:80'] } },
    ])
  })

  test('knows which of them discovery says something against, as they were told', () => {
    const { fill, changed, unhealthy } = start()
    const critical = { ...two, health: 'critical' as const, healthReason: 'disk full' }
    expect(unhealthy('orders')).toEqual(new Map())
    fill(snapshotOf([serviceSpec('orders', [one, critical])]), () => null)
    expect(unhealthy('orders')).toEqual(new Map([['10.0.0.2:80', critical]]))
    expect(unhealthy('orders')).toBe(unhealthy('orders'))
    changed('orders', [one, two])
    expect(unhealthy('orders')).toEqual(new Map())
    fill(snapshotOf([]), () => null)
    expect(unhealthy('orders')).toEqual(new Map())
  })

  test('is no more of a service that the last snapshot left out', () => {
    const { fill, changed, sent } = start()
    fill(snapshotOf([serviceSpec('orders', [])]), () => [one])
    fill(snapshotOf([]), () => null)
    changed('orders', [two])
    expect(sent).toEqual([])
  })

  test('is how many passing instances of our own service stand in each zone, when that changes', () => {
    const { ownChanged, fill, sent } = start()
    const own = [
      endpointSpec('10.0.0.1:80', { zone: 'a' }),
      endpointSpec('10.0.0.2:80', { zone: 'a' }),
      endpointSpec('10.0.0.3:80', { zone: 'b', health: 'critical' }),
      endpointSpec('10.0.0.4:80'),
    ]
    ownChanged(own)
    ownChanged([...own, endpointSpec('10.0.0.5:80')])
    expect(sent).toEqual([{ kind: 'origins', zones: { a: 2 } }])
    expect(fill(snapshotOf([]), () => null).origins).toEqual({ a: 2 })
  })
})
