import { expect, test } from 'vitest'
import { compilePolicy, readPolicy } from '../../mesh-config/policy-document.ts'
import { withProvenance } from '../../proxy/control/effective-layer.ts'
import { effectiveText } from '../../proxy/control/effective-text.ts'
import type { Policies } from '../../proxy/core/agent-policy.ts'
import { specOf } from '../support/agent-server.ts'

const files = {
  files: ['sidecar.yaml'],
  config: { service: 'web', services: { orders: { timeouts: { request: '15s', idle: '5m' }, routes: [] } } },
  sources: {
    service: { at: 'sidecar.yaml:1' },
    'services.orders.timeouts.request': { at: null },
    'services.orders.timeouts.idle': { at: 'sidecar.yaml:9' },
    'services.orders.routes': { at: null },
  },
}

function saying(provenance: unknown): Policies {
  const policy = { version: 'v', spec: specOf('orders', {}), discovery: null, provenance: JSON.stringify(provenance) }
  return new Map([['orders', policy]])
}

test('what the agent compiled is shown with its places, also below keys with dots', async () => {
  const document = {
    timeouts: { request: '3s' },
    subsets: { v2: { 'tag.v2': 'true' } },
    routes: [{ match: { path: { prefix: '/v2' } }, to: [{ service: 'orders', subset: 'v2' }] }],
  }
  const { root } = await readPolicy('orders', 'consul kv outrigger/services/orders', JSON.stringify(document), null)
  const compiled = compilePolicy('orders', [root!])
  if (!compiled.ok) throw new Error('it is refused')
  const text = effectiveText(withProvenance(files, ['orders'], saying(compiled.provenance)))
  expect(text.replace(/ +#/g, ' #')).toBe(`service: web # sidecar.yaml:1
services:
  orders:
    timeouts:
      request: 3s # consul kv outrigger/services/orders:1
      idle: 5m # sidecar.yaml:9
    routes:
      - match:
          path:
            prefix: /v2 # consul kv outrigger/services/orders:1
        to:
          - service: orders # consul kv outrigger/services/orders:1
            subset: v2 # consul kv outrigger/services/orders:1
    subsets:
      v2:
        tag.v2: "true" # consul kv outrigger/services/orders:1
`)
})

test('a service that only the agent knows is shown with what it says', () => {
  const shown = withProvenance(
    { ...files, config: {}, sources: {} },
    ['orders'],
    saying({ a: { at: 'x:1', value: 1 } }),
  )
  expect(shown).toMatchObject({
    config: { services: { orders: { a: 1 } } },
    sources: { 'services.orders.a': { at: 'x:1' } },
  })
})

test('of a service that is not in use, and of nonsense, nothing is shown', () => {
  expect(withProvenance(files, [], saying({ a: { at: 'x:1', value: 1 } }))).toBe(files)
  for (const odd of [null, [], 'a', { a: 1 }, { a: { at: 2 } }, { '__proto__.x': { at: 'y', value: 1 } }]) {
    const shown = withProvenance(files, ['orders'], saying(odd))
    expect(shown.config).toEqual(files.config)
  }
  expect(({} as Record<string, unknown>).x).toBeUndefined()
})
