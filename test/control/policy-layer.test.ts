import { describe, expect, test } from 'vitest'
import { loadTexts } from '../../mesh-config/load-snapshot.ts'
import type { DiscoverySpec, Snapshot } from '../../mesh-config/snapshot.ts'
import { askedAnew, layered } from '../../proxy/control/policy-layer.ts'
import type { AgentDiscovery, AgentPolicy, Policies } from '../../proxy/core/agent-policy.ts'
import { specOf } from '../support/agent-server.ts'

interface Config {
  readonly snapshot: Snapshot
  readonly discovery: DiscoverySpec
}

async function configOf(file: object): Promise<Config> {
  const document = { outbound: [{ listen: '127.0.0.1:15001' }], ...file }
  const loaded = await loadTexts([{ file: 'sidecar.yaml', text: JSON.stringify(document) }], {})
  if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
  return loaded
}

function policyOf(service: string, policy: object, discovery: AgentDiscovery | null = null): AgentPolicy {
  return { version: JSON.stringify(policy), spec: specOf(service, policy), discovery, provenance: '' }
}

const over = (config: Config, policies: Policies, extended = config.snapshot) => layered(config, extended, policies)

const files = await configOf({
  discovery: { endpoints: { orders: ['127.0.0.1:1'], users: ['127.0.0.1:2'] } },
  services: { orders: { timeouts: { request: '9s' } } },
})
const withConsul = await configOf({
  discovery: { consul: { onDemand: true, services: { orders: {} } } },
  services: { orders: {} },
})

describe('a policy', () => {
  test('takes the place of what the files say, but for the endpoints; other services stay the same objects', () => {
    const { snapshot, watched, refused } = over(
      files,
      new Map([['orders', policyOf('orders', { timeouts: { request: '3s' } })]]),
    )
    expect(snapshot.services.orders!.timeouts.requestMs).toBe(3_000)
    expect(snapshot.services.orders!.endpoints).toEqual(files.snapshot.services.orders!.endpoints)
    expect(snapshot.services.users).toBe(files.snapshot.services.users)
    expect(snapshot.version).toMatch(new RegExp(`^${files.snapshot.version}~[0-9a-f]{8}$`))
    expect(watched.discovery).toBe(files.discovery)
    expect(refused.size).toBe(0)
  })

  test('of nothing, and of a service that is not here, changes nothing', () => {
    const none: AgentPolicy = { version: '0', spec: null, discovery: null, provenance: '' }
    const policies = new Map([
      ['orders', none],
      ['elsewhere', policyOf('elsewhere', {})],
    ])
    const { snapshot, watched } = over(files, policies)
    expect([snapshot, watched]).toEqual([files.snapshot, files])
    expect(snapshot).toBe(files.snapshot)
  })

  test('one content is one version', () => {
    const [one, two] = [policyOf('orders', {}), policyOf('orders', { multiplex: false })]
    const version = (policy: AgentPolicy) => over(files, new Map([['orders', policy]])).snapshot.version
    expect(version(one)).toBe(version({ ...one }))
    expect(version(one)).not.toBe(version(two))
  })
})

describe('a route to a service that no file names', () => {
  const splitting = { routes: [{ to: [{ service: 'orders-v2' }] }] }

  test('is refused where the sidecar cannot find it', () => {
    const { snapshot, refused } = over(files, new Map([['orders', policyOf('orders', splitting)]]))
    expect(snapshot).toMatchObject({ services: { orders: files.snapshot.services.orders } })
    expect(refused.get('orders')).toMatch(/lead to orders-v2, which this sidecar does not know/)
  })

  test('looks it up in Consul, with its own policy where it has one', () => {
    const policies = new Map([
      ['orders', policyOf('orders', splitting)],
      ['orders-v2', policyOf('orders-v2', { timeouts: { request: '1s' }, routes: [{ to: [{ service: 'deep' }] }] })],
    ])
    const { snapshot, watched } = over(withConsul, policies)
    expect(Object.keys(snapshot.services).sort()).toEqual(['deep', 'orders', 'orders-v2'])
    expect(snapshot.services['orders-v2']!.timeouts.requestMs).toBe(1_000)
    expect(snapshot.services.deep!.routes[0]!.to[0]!.service).toBe('deep')
    expect(watched.discovery.consul!.services.map(({ service }) => service).sort()).toEqual([
      'deep',
      'orders',
      'orders-v2',
    ])
    expect(Object.keys(watched.snapshot.services).sort()).toEqual(['deep', 'orders', 'orders-v2'])
  })
})

describe('what discovery is asked', () => {
  const elsewhere: AgentDiscovery = {
    consul: [
      { service: 'orders', name: 'orders-eu', datacenter: 'eu', tags: [], addressKind: 'service', failover: [] },
    ],
    dns: null,
  }

  test('is what the policy says of it', () => {
    const { watched } = over(withConsul, new Map([['orders', policyOf('orders', {}, elsewhere)]]))
    expect(watched.discovery.consul!.services).toEqual(elsewhere.consul)
  })

  test('also of a service that was found on demand', () => {
    const found = { ...withConsul.snapshot.services.orders!, name: 'found' }
    const extended = { ...withConsul.snapshot, services: { ...withConsul.snapshot.services, found } }
    const there: AgentDiscovery = { consul: [{ ...elsewhere.consul![0]!, service: 'found' }], dns: null }
    const { watched } = over(withConsul, new Map([['found', policyOf('found', {}, there)]]), extended)
    expect(watched.discovery.consul!.services.map(({ name }) => name).sort()).toEqual(['orders', 'orders-eu'])
    expect(Object.keys(watched.snapshot.services).sort()).toEqual(['found', 'orders'])
  })

  test('is the same where a policy changes only how a service is called', () => {
    const before = over(files, new Map([['orders', policyOf('orders', {})]]))
    const after = over(files, new Map([['orders', policyOf('orders', { timeouts: { request: '3s' } })]]))
    expect(askedAnew(before.watched, after.watched)).toBeNull()
    expect(askedAnew(files, after.watched)).toBeNull()
  })

  test.each([
    ['another place', {}, elsewhere],
    ['a subset of the endpoints', { balancer: { subsetSize: 2 } }, null],
    ['other subsets', { subsets: { v1: { version: 'v1' } } }, null],
  ])('is another thing for %s, of that service alone', (_name, policy, discovery) => {
    const after = over(withConsul, new Map([['orders', policyOf('orders', policy, discovery)]]))
    expect(askedAnew(withConsul, after.watched)).toEqual(['orders'])
    expect(askedAnew(after.watched, withConsul)).toEqual(['orders'])
  })
})
