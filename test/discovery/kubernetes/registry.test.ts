import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { KubernetesServiceSpec, KubernetesSpec } from '../../../mesh-config/snapshot.ts'
import type { Clock } from '../../../proxy/core/clock.ts'
import { type KubernetesRegistry, kubernetesRegistry } from '../../../proxy/discovery/kubernetes/registry.ts'
import { wayOf } from '../../../proxy/discovery/kubernetes/way.ts'
import { systemClock } from '../../../proxy/system/clock.ts'
import { logTape } from '../../support/log-tape.ts'
import { serviceSpec } from '../../support/specs.ts'
import { virtualTime } from '../consul/tape.ts'
import { endpoint, type ScriptedApi, scriptedApi, service, slice, soon } from './support/scripted-api.ts'

/** Against an API server that does at will what a real one does seldom; test/long/ has a real one. */

let api: ScriptedApi
let end: AbortController
let opened: KubernetesRegistry[]

beforeEach(async () => {
  api = await scriptedApi()
  end = new AbortController()
  opened = []
})
afterEach(async () => {
  end.abort()
  for (const each of opened) each.close()
  await api[Symbol.asyncDispose]()
})

function registry(over: Partial<KubernetesSpec> = {}, account = '/nonexistent', clock: Clock = systemClock) {
  const log = logTape()
  let changes = 0
  const made = kubernetesRegistry(
    { ...specOf(), ...over },
    {
      clock,
      random: () => 0,
      log,
      env: {},
      account,
      speaks: () => true,
      changed: () => void changes++,
    },
  )
  opened.push(made)
  return { made, log, changes: () => changes }
}

function specOf(): KubernetesSpec {
  return {
    address: api.address,
    token: 'secret',
    tokenFile: null,
    tls: { ca: null, cert: null, key: null, serverName: null },
    namespace: 'shop',
    clusterDomain: 'cluster.local',
    family: 'auto',
    services: [],
    onDemand: serviceSpec('', []),
    idleMs: 600_000,
  }
}

const orders: KubernetesServiceSpec = { service: 'orders', name: 'orders', namespace: null, port: null }

function watch(made: KubernetesRegistry, of: Partial<KubernetesServiceSpec> = {}, isDoubted = () => false) {
  const said: string[] = []
  made.watch(
    { ...orders, ...of },
    {
      onSet(endpoints) {
        const text = endpoints
          .map(({ address, health }) => address + (health === 'passing' ? '' : ` ${health}`))
          .join(', ')
        if (text !== said.at(-1)) said.push(text)
      },
      isDoubted,
      onTrouble: reason => said.push(`trouble: ${reason}`),
    },
    end.signal,
  )
  return said
}

const three = ['10.1.0.1', '10.1.0.2', '10.1.0.3'].map(address => endpoint(address))

function fill(): void {
  api.put('services', service('orders'))
  api.put('endpointslices', slice('orders-a', 'orders', three.slice(0, 2)))
}

const watchesOf = (kind: string) => api.asked.filter(each => each.startsWith(`watch ${kind}`))
const listsOf = (kind: string) => api.asked.filter(each => each.startsWith(`list ${kind}`))

describe('what is there, and how it changes', () => {
  test('one list, then a watch from its version; events of slices are delivered as whole sets', async () => {
    fill()
    const said = watch(registry().made)
    await soon(() => expect(said).toEqual(['10.1.0.1, 10.1.0.2']))
    await soon(() => expect(api.watches()).toBe(2))
    expect(api.asked.sort()).toEqual([
      'list endpointslices 0',
      'list services 0',
      'watch endpointslices 12',
      'watch services 12',
    ])
    api.put('endpointslices', slice('orders-b', 'orders', three.slice(2)))
    await soon(() => expect(said.at(-1)).toBe('10.1.0.1, 10.1.0.2, 10.1.0.3'))
    api.put('endpointslices', slice('orders-a', 'orders', three.slice(0, 1)))
    await soon(() => expect(said.at(-1)).toBe('10.1.0.1, 10.1.0.3'))
    api.drop('endpointslices', 'orders-b')
    await soon(() => expect(said.at(-1)).toBe('10.1.0.1'))
    expect(api.asked).toHaveLength(4)
  })

  test('a list in pages', async () => {
    fill()
    api.put('endpointslices', slice('orders-b', 'orders', three.slice(2)))
    api.page = 1
    const said = watch(registry().made)
    await soon(() => expect(said).toEqual(['10.1.0.1, 10.1.0.2, 10.1.0.3']))
    expect(listsOf('endpointslices')).toHaveLength(2)
  })

  test('a Service that is deleted: its endpoints drain, whatever the slices say by then', async () => {
    fill()
    const said = watch(registry().made)
    await soon(() => expect(said).toHaveLength(1))
    await soon(() => expect(api.watches()).toBe(2))
    api.drop('services', 'orders')
    await soon(() => expect(said.at(-1)).toBe('10.1.0.1 draining, 10.1.0.2 draining'))
    api.drop('endpointslices', 'orders-a')
    await soon(() => expect(said.at(-1)).toBe(''))
  })

  test('only slices of Services that are used are asked for, in one watch', async () => {
    fill()
    api.put('services', service('billing'))
    api.put('endpointslices', slice('billing-a', 'billing', three))
    const { made } = registry()
    const said = watch(made)
    await soon(() => expect(said).toHaveLength(1))
    const more = watch(made, { service: 'billing', name: 'billing' })
    await soon(() => expect(more).toEqual(['10.1.0.1, 10.1.0.2, 10.1.0.3']))
    expect(api.queries.at(-1)!.get('labelSelector')).toBe('kubernetes.io/service-name in (billing,orders)')
    await soon(() => expect(api.watches()).toBe(2))
    expect(said).toHaveLength(1)
  })

  test('a mass removal that is doubted is asked for once more', async () => {
    fill()
    let doubts = 1
    const said = watch(registry().made, {}, () => doubts-- > 0)
    await soon(() => expect(said).toHaveLength(1))
    doubts = 2
    api.put('endpointslices', slice('orders-a', 'orders', []))
    await soon(() => expect(listsOf('endpointslices').length).toBeGreaterThan(1))
    expect(listsOf('endpointslices').at(-1)).toBe('list endpointslices 13')
  })
})

describe('a watch', () => {
  async function running() {
    fill()
    const { made, log } = registry()
    const said = watch(made)
    await soon(() => expect(api.watches()).toBe(2))
    expect(said).toHaveLength(1)
    api.asked.length = 0
    return { said, log }
  }

  test('that ends is resumed where it was, and a bookmark moves that on', async () => {
    const { said } = await running()
    api.send(
      'endpointslices',
      `${JSON.stringify({ type: 'BOOKMARK', object: { metadata: { resourceVersion: '500' } } })}\n`,
    )
    await new Promise(resolve => setTimeout(resolve, 50))
    api.endWatches()
    await soon(() => expect(watchesOf('endpointslices')).toEqual(['watch endpointslices 500']))
    await soon(() => expect(watchesOf('services')).toEqual(['watch services 12']))
    expect(listsOf('endpointslices')).toEqual([])
    expect(said).toHaveLength(1)
  })

  test('that breaks inside a line: the line counts for nothing, and the event comes again', async () => {
    const { said } = await running()
    api.cut('{"type":"MODIFIED","object":{"metadata":{"name":"orders-a","resourceVersion":"999"},"endpo')
    await soon(() => expect(watchesOf('endpointslices')).toEqual(['watch endpointslices 12']))
    await soon(() => expect(api.watches()).toBe(2))
    api.put('endpointslices', slice('orders-a', 'orders', three))
    await soon(() => expect(said.at(-1)).toBe('10.1.0.1, 10.1.0.2, 10.1.0.3'))
    expect(said.filter(each => each.startsWith('trouble'))).toEqual([])
  })

  test.each(['answer', 'event'])(
    'that is too old (410 as an %s): a list of what is there, and no trouble',
    async form => {
      const { said } = await running()
      const whole = slice('orders-a', 'orders', three)
      if (form === 'event')
        api.send(
          'endpointslices',
          `${JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410, message: 'old' } })}\n`,
        )
      else {
        api.fail = () => 'reset'
        api.endWatches()
        api.put('endpointslices', whole)
        api.forget()
        api.fail = null
      }
      await soon(() => expect(listsOf('endpointslices')).toEqual(['list endpointslices']))
      if (form === 'event') api.put('endpointslices', whole)
      await soon(() => expect(said.at(-1)).toBe('10.1.0.1, 10.1.0.2, 10.1.0.3'))
    },
  )

  test.each([
    ['no json at all', 'no json at all\n'],
    ['a list', '[]\n'],
    ['an event without an object', '{"type":"ADDED"}\n'],
    ['an unknown event', '{"type":"DANCED","object":{}}\n'],
    ['a nest', `${'['.repeat(5000)}\n`],
  ])('of garbage (%s): everything is listed anew, and what was known stays', async (_what, line) => {
    const { said } = await running()
    api.send('endpointslices', line)
    await soon(() => expect(listsOf('endpointslices')).toHaveLength(1))
    await soon(() => expect(api.watches()).toBe(2))
    expect(said[1]).toMatch(/^trouble: /)
    api.put('endpointslices', slice('orders-a', 'orders', three))
    await soon(() => expect(said.at(-1)).toBe('10.1.0.1, 10.1.0.2, 10.1.0.3'))
  })

  test('with a line without end costs no more than its bound', async () => {
    const { said } = await running()
    const flood = 'x'.repeat(1024 * 1024)
    for (let i = 0; i < 10; i++) api.send('endpointslices', flood)
    await soon(() => expect(said[1]).toContain('a line is longer than 8 MiB'))
  })

  test('without a line for minutes is opened anew from where it was; a bookmark is a line', async () => {
    const time = virtualTime()
    // What is on its way arrives, while the other time stands still.
    const arrived = () => new Promise(resolve => setTimeout(resolve, 1_000))
    fill()
    watch(registry({}, undefined, time.clock).made)
    await soon(() => expect(api.watches()).toBe(2))
    await arrived()
    api.asked.length = 0
    await time.pass(100_000, 10_000)
    api.send('services', `${JSON.stringify({ type: 'BOOKMARK', object: { metadata: { resourceVersion: '99' } } })}\n`)
    await arrived()
    await time.pass(60_000, 10_000)
    await soon(() => expect(watchesOf('endpointslices')).toEqual(['watch endpointslices 12']))
    expect(watchesOf('services')).toEqual([])
    await arrived()
    await time.pass(100_000, 10_000)
    await soon(() => expect(watchesOf('services')).toEqual(['watch services 99']))
    expect(listsOf('services')).toEqual([])
  })

  test('that ends at once again and again is not asked for without end', async () => {
    await running()
    const before = Date.now()
    const ending = setInterval(() => api.endWatches(), 1)
    await new Promise(resolve => setTimeout(resolve, 1_500))
    clearInterval(ending)
    expect(watchesOf('services').length).toBeLessThan(12)
    expect(Date.now() - before).toBeGreaterThan(1_000)
  })
})

describe('an API server', () => {
  test('that dies and comes back: what is known stays, and the watch goes on from there', async () => {
    fill()
    const said = watch(registry().made)
    await soon(() => expect(api.watches()).toBe(2))
    await api.stop()
    await soon(() => expect(said.at(-1)).toMatch(/^trouble: the API server at .* refuses connections/))
    api.asked.length = 0
    await api.start()
    await soon(() => expect(api.watches()).toBe(2))
    expect(listsOf('services')).toEqual([])
    api.put('endpointslices', slice('orders-a', 'orders', three))
    await soon(() => expect(said.at(-1)).toBe('10.1.0.1, 10.1.0.2, 10.1.0.3'))
  })

  test('that denies: which right is missing, and where it is given', async () => {
    fill()
    api.fail = ({ url }) =>
      url!.includes('endpointslices')
        ? { status: 403, body: { kind: 'Status', message: 'endpointslices is forbidden' } }
        : null
    const said = watch(registry().made)
    await soon(() => expect(said).not.toEqual([]))
    expect(said[0]).toMatch(
      /denies it \(403: endpointslices is forbidden\): the service account needs list and watch on endpointslices.discovery.k8s.io in the namespace shop \(deploy\/kubernetes\/discovery.yaml\)$/,
    )
    api.fail = null
    await soon(() => expect(said.at(-1)).toBe('10.1.0.1, 10.1.0.2'))
  })

  test('that is busy says when to come again', async () => {
    fill()
    let refused = 0
    api.fail = ({ url }) =>
      url!.includes('endpointslices') && refused++ === 0
        ? { status: 429, body: 'busy', headers: { 'retry-after': '1' } }
        : null
    const begun = Date.now()
    const said = watch(registry().made)
    await soon(() => expect(said.at(-1)).toBe('10.1.0.1, 10.1.0.2'))
    expect(said[0]).toContain('answers 429: busy')
    expect(Date.now() - begun).toBeGreaterThanOrEqual(1_000)
  })

  test.each([
    ['no json', 'makes no sense'],
    [{ items: 7 }, 'is no list'],
    [[], 'is no list'],
  ])('that answers %j is in trouble, and no set is delivered', async (body, reason) => {
    api.fail = () => ({ status: 200, body })
    const said = watch(registry().made)
    await soon(() => expect(said[0]).toContain(reason))
    expect(said.every(each => each.startsWith('trouble'))).toBe(true)
  })

  test('that answers too much', async () => {
    const body = `"${'x'.repeat(33 * 1024 * 1024)}"`
    api.fail = () => ({ status: 200, body })
    const said = watch(registry().made)
    await soon(() => expect(said[0]).toContain('is larger than 32768 KiB'))
  })

  test('whose endpointslices hang does not delay another namespace', async () => {
    fill()
    api.fail = ({ url }) => (url!.includes('namespaces/other') ? 'hang' : null)
    const { made } = registry()
    const stuck = watch(made, { namespace: 'other' })
    const said = watch(made)
    await soon(() => expect(said).toEqual(['10.1.0.1, 10.1.0.2']))
    expect(stuck).toEqual([])
  })
})

describe('in a pod', () => {
  let account: string
  beforeEach(() => {
    account = mkdtempSync(join(tmpdir(), 'outrigger-account-'))
  })
  afterEach(() => rmSync(account, { recursive: true, force: true }))

  test('outside of one it says so', async () => {
    const { made } = registry({ address: null, token: null })
    const said = watch(made)
    expect(said[0]).toContain('this is no pod of Kubernetes (KUBERNETES_SERVICE_HOST is not set): write')
    expect(await made.find('orders')).toMatchObject({ certain: false })
  })

  test('everything is where the kubelet puts it', () => {
    writeFileSync(join(account, 'namespace'), 'billing')
    const none = { ca: null, cert: null, key: null, serverName: null }
    const spec = { ...specOf(), address: null, token: null, namespace: null }
    expect(wayOf(spec, { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '6443' }, account)).toEqual({
      address: 'https://[fd00::1]:6443',
      token: null,
      tokenFile: join(account, 'token'),
      tls: { ...none, ca: join(account, 'ca.crt') },
      namespace: 'billing',
    })
    // The token of a pod is not shown to another server.
    expect(wayOf({ ...spec, address: 'https://a:1' }, {}, account)).toMatchObject({ tokenFile: null, tls: none })
    expect(wayOf({ ...spec, address: 'https://a:1' }, { POD_NAMESPACE: 'p' }, '/nonexistent').namespace).toBe('p')
  })

  test('without a token it says so, and takes it up when it is there; a new one is read', async () => {
    fill()
    const seen = new Set<string | undefined>()
    api.fail = ({ headers }) => {
      seen.add(headers.authorization)
      return headers.authorization === 'Bearer two' ? null : { status: 401, body: { message: 'Unauthorized' } }
    }
    writeFileSync(join(account, 'namespace'), 'shop\n')
    const { made } = registry({ token: null, tokenFile: join(account, 'token'), namespace: null }, account)
    const said = watch(made)
    await soon(() => expect(said.at(-1)).toContain('the token file of Kubernetes cannot be read'))
    writeFileSync(join(account, 'token'), 'one\n')
    await soon(() => expect(said.at(-1)).toMatch(/does not accept the token in .*\/token \(401: Unauthorized\)/))
    writeFileSync(join(account, 'token'), 'two, and longer\n')
    writeFileSync(join(account, 'token'), 'two\n')
    await soon(() => expect(said.at(-1)).toBe('10.1.0.1, 10.1.0.2'))
    expect([...seen]).toEqual(['Bearer one', 'Bearer two'])
  })
})

describe('names', () => {
  const ports = [
    { name: 'http', port: 80 },
    { name: 'grpc', port: 9090 },
  ]

  test('of our namespace cost no question, however many are made up', async () => {
    api.put('services', service('orders', ports))
    const { made } = registry()
    expect(await made.find('orders')).toEqual({ service: 'orders' })
    const before = api.asked.length
    for (const [name, found] of [
      ['orders:80', 'orders'],
      ['orders:9090', 'orders:9090'],
      ['orders.shop', 'orders'],
      ['orders.shop.svc:9090', 'orders:9090'],
      ['orders.shop.svc.cluster.local', 'orders'],
      ['orders:15001', 'orders'],
      ['10.0.0.5:9090', 'orders:9090'],
    ] as const)
      expect(await made.find(name)).toEqual({ service: found })
    for (let i = 0; i < 1_000; i++)
      expect(await made.find(`made-up-${i}`)).toEqual({
        certain: true,
        reason: `there is no Service made-up-${i} in the namespace shop`,
      })
    expect(api.asked.length - before).toBeLessThanOrEqual(1)
  })

  test('of other namespaces are asked for one by one, and only one that is there leads to a watch', async () => {
    api.put('services', service('orders', ports))
    const { made } = registry()
    await made.find('orders')
    expect(await made.find('nothing.else')).toMatchObject({ certain: true })
    expect(await made.find('nothing.else')).toMatchObject({ certain: true })
    expect(api.asked.filter(each => each.startsWith('get'))).toEqual(['get /api/v1/namespaces/else/services/nothing'])
    expect(await made.find('orders.else:9090')).toEqual({ service: 'orders.else:9090' })
    await Promise.all(Array.from({ length: 500 }, (_, i) => made.find(`x.made-up-${i}`)))
    expect(api.asked.filter(each => each.startsWith('get')).length).toBeLessThan(40)
  })

  test('ports that are not named in any usual way must be said', async () => {
    api.put(
      'services',
      service('orders', [
        { name: 'a', port: 1 },
        { name: 'b', port: 2 },
      ]),
    )
    expect(await registry().made.find('orders')).toEqual({
      certain: true,
      reason: 'the Service orders has the ports a 1, b 2: name one of them, as in orders:1',
    })
  })

  test('what callers may call it, and what is spoken there, change with the Service', async () => {
    fill()
    const { made, changes } = registry()
    watch(made)
    await soon(() => expect(made.registered(orders).port).toBe(80))
    expect(made.registered(orders)).toEqual({
      hosts: ['orders', 'orders.shop', 'orders.shop.svc', 'orders.shop.svc.cluster.local'],
      port: 80,
      isUsual: true,
      otherPorts: [],
      addresses: ['10.0.0.5:80'],
      protocol: null,
    })
    const before = changes()
    api.put(
      'services',
      service('orders', [
        { name: 'api', port: 8080, appProtocol: 'kubernetes.io/h2c' },
        { name: 'metrics', port: 9100 },
        { name: 'http', port: 81 },
      ]),
    )
    await soon(() => expect(changes()).toBeGreaterThan(before))
    expect(made.registered({ ...orders, port: 'api' })).toMatchObject({
      port: 8080,
      isUsual: false,
      otherPorts: [9100, 81],
      protocol: 'http2',
    })
  })
})
