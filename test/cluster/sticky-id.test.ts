import { describe, expect, test } from 'vitest'
import { stickyIds } from '../../proxy/cluster/sticky-id.ts'
import { hash32 } from '../../proxy/core/hash.ts'
import { pickContext } from '../support/endpoints.ts'
import { serviceSpec } from '../support/specs.ts'
import { clusterOf } from './cluster-of.ts'

describe('what a sticky cookie holds of an endpoint', () => {
  test('is the same wherever the secret is, and another under another secret or service', () => {
    const id = stickyIds('a secret of sixteen', 'orders')('10.0.0.1:80')
    // Cookies in browsers depend on it: a change here sends every session elsewhere.
    expect(id).toBe('MU8g3nB5_M4KCTSzQzXmED')
    expect(stickyIds('a secret of sixteen', 'orders')('10.0.0.1:80')).toBe(id)
    expect(stickyIds('another secret', 'orders')('10.0.0.1:80')).not.toBe(id)
    expect(stickyIds('a secret of sixteen', 'stock')('10.0.0.1:80')).not.toBe(id)
  })

  test('is never the same for two endpoints, and no hash that anybody can compute', () => {
    const idOf = stickyIds('a secret of sixteen', 'orders')
    const names = Array.from({ length: 20_000 }, (_, i) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}:8080`)
    const ids = new Set(names.map(idOf))
    expect(ids.size).toBe(names.length)
    for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9_-]{22}$/)
    expect(ids).not.toContain(hash32(names[0]!).toString(36))
  })

  test('is made only where there are sticky sessions, and anew when the secret changes', () => {
    const spec = serviceSpec('orders', ['a:1', 'b:1'])
    const { cluster } = clusterOf(spec)
    expect(cluster.endpoints.map(({ stickyId }) => stickyId)).toEqual(['', ''])
    const apply = (secret: string) => {
      cluster.configure({
        ...spec,
        balancer: { ...spec.balancer, sticky: { cookie: 's', ttlMs: 0, path: '/', secret } },
      })
      return cluster.endpoints.map(({ stickyId }) => stickyId)
    }
    const first = apply('one')
    expect(first).toEqual(['a:1', 'b:1'].map(stickyIds('one', 'orders')))
    const second = apply('two')
    expect(second).toEqual(['a:1', 'b:1'].map(stickyIds('two', 'orders')))
    const pick = (sticky: string) => {
      const context = { ...pickContext(), sticky }
      cluster.whole.balancer.pick(context)
      return context.record.sticky
    }
    expect([pick(second[1]!), pick(first[1]!)]).toEqual([true, false])
    cluster.change({ put: [{ ...spec.endpoints[0]!, address: 'c' }], drop: [] })
    expect(pick(stickyIds('two', 'orders')('c:1'))).toBe(true)
  })
})
