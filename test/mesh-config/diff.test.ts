import { describe, expect, test } from 'vitest'
import { diffBootstraps, diffDiscovery, diffSnapshots } from '../../mesh-config/diff.ts'
import { type LoadedSnapshot, loadTexts } from '../../mesh-config/load-snapshot.ts'

async function load(text: string): Promise<LoadedSnapshot> {
  const loaded = await loadTexts(
    [
      { file: 'a.yaml', text: `outbound: [{ listen: 127.0.0.1:9101 }]\n` },
      { file: 'b.yaml', text },
    ],
    {},
  )
  if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
  return loaded
}

async function diff(before: string, after: string): Promise<string[]> {
  return diffSnapshots((await load(before)).snapshot, (await load(after)).snapshot)
}

const orders = (policy: string, endpoints = '127.0.0.1:9001') =>
  `discovery: { endpoints: { orders: [${endpoints}] } }\nservices: { orders: ${policy} }`

describe('the difference of two snapshots', () => {
  test('is nothing for the same', async () => {
    expect(await diff(orders('{}'), orders('{}'))).toEqual([])
    expect(await diff(orders('{ timeouts: { request: 15s } }'), orders('{}'))).toEqual([])
  })

  test('names endpoints', async () => {
    expect(await diff(orders('{}'), orders('{}', '127.0.0.1:9001, 127.0.0.1:9003'))).toEqual([
      'service orders: endpoint 127.0.0.1:9003 added',
    ])
    expect(
      await diff(
        orders('{}', '127.0.0.1:9001, "[::1]:9003"'),
        orders('{}', '{ address: 127.0.0.1:9001, weight: 3, meta: { version: v2 } }'),
      ),
    ).toEqual([
      'service orders: endpoint [::1]:9003 removed',
      'service orders: endpoint 127.0.0.1:9001: weight 1 -> 3',
      'service orders: endpoint 127.0.0.1:9001: metadata.version none -> v2',
    ])
  })

  test('counts endpoints when there are many', async () => {
    const many = Array.from({ length: 30 }, (_, index) => `127.0.0.1:${9200 + index}`).join(', ')
    const lines = await diff(orders('{}'), orders('{}', `127.0.0.1:9001, ${many}`))
    expect(lines).toHaveLength(10)
    expect(lines.at(-1)).toBe('service orders: 21 more changes of its endpoints')
  })

  test('names settings as they are written, with their units', async () => {
    const after =
      '{ timeouts: { request: 20s, perTry: 1500ms }, retries: { replayBytes: 1MiB, on: [connect-failure] }, balancer: { type: random }, hosts: [o.example.com] }'
    expect(await diff(orders('{}'), orders(after))).toEqual([
      'service orders: hosts [] -> [o.example.com]',
      'service orders: balancer.type least_request -> random',
      'service orders: timeouts.request 15s -> 20s',
      'service orders: timeouts.perTry off -> 1500ms',
      'service orders: retries.on [connect-failure, refused-stream, reset-before-response] -> [connect-failure]',
      'service orders: retries.replay 64KiB -> 1MiB',
    ])
  })

  test('names services, listeners and the rest', async () => {
    const before = `${orders('{}')}\naccessLog: on`
    const after =
      'outbound: [{ listen: 127.0.0.1:9102 }]\ndiscovery: { endpoints: { stock: [127.0.0.1:9002] } }\nservice: web\ndrain: { delay: 1s }'
    expect(await diff(before, after)).toEqual([
      'service unnamed -> web',
      'listener outbound 127.0.0.1:9101 removed',
      'listener outbound 127.0.0.1:9102 added',
      'service orders removed',
      'service stock added',
      'access log: mode on -> errors',
      'drain: delay 5s -> 1s',
    ])
    expect(
      await diff('', 'outbound: [{ listen: 127.0.0.1:9101, limits: { buffer: 2MiB }, timeouts: { head: off } }]'),
    ).toEqual([
      'listener outbound 127.0.0.1:9101: timeouts.head 10s -> off',
      'listener outbound 127.0.0.1:9101: limits.buffer 1MiB -> 2MiB',
    ])
  })

  test('says of routes what changed, and never the values they match', async () => {
    const routes = (list: string) => orders(`{ subsets: { v1: { v: a }, v2: { v: b } }, routes: [${list}] }`)
    const secret = '{ match: { path: /a, headers: { authorization: sesame } } }'
    expect(await diff(routes('{ match: { path: /a, headers: { authorization: other } } }'), routes(secret))).toEqual([
      'service orders: route /a: match changed',
    ])
    expect(
      await diff(
        routes('{ to: [{ subset: v1, weight: 95 }, { subset: v2, weight: 5 }] }'),
        routes('{ to: [{ subset: v1, weight: 50 }, { subset: v2, weight: 50 }] }'),
      ),
    ).toEqual(['service orders: route /*: orders/v1 95 + orders/v2 5 -> orders/v1 50 + orders/v2 50'])
    expect(
      await diff(
        routes('{ match: { path: /a } }, { match: { path: /b } }'),
        routes('{ match: { path: /b } }, { match: { path: /a } }, { match: { path: /c } }'),
      ),
    ).toEqual(['service orders: route /c added', 'service orders: order of the routes changed'])
    expect(await diff(routes('{ timeouts: { request: 1s } }'), routes('{ timeouts: { request: 2s } }'))).toEqual([
      'service orders: route /*: timeouts.request 1s -> 2s',
    ])
  })
})

test('the difference in where endpoints come from, and in what belongs to the whole, without secrets', async () => {
  const [before, after] = [
    await load('discovery: { dns: { orders: orders.example:80 }, consul: { token: sesame } }'),
    await load(
      'zone: z1\nbuffers: 64MiB\ndiscovery: { dns: { orders: { name: "orders.example:80", refresh: 9s }, cart: cart.example }, consul: { token: other, onDemand: false }, massRemoval: 30 }',
    ),
  ]
  expect(diffDiscovery(before.discovery, after.discovery)).toEqual([
    'discovery: massRemoval 50 -> 30',
    'discovery: consul.token changed',
    'discovery: consul.onDemand true -> false',
    'discovery: DNS name of orders: refresh 30s -> 9s',
    'discovery: DNS name of cart added',
  ])
  expect(diffSnapshots(before.snapshot, after.snapshot)).toEqual([
    'zone none -> z1',
    'onDemand 2s -> off',
    'buffers 256MiB -> 64MiB',
    'service cart added',
  ])
})

test('a map that is new is told field by field, its secrets not at all', async () => {
  const secret = 'sesame-sesame-sesame'
  const [before, after] = [
    await load(orders('{}')),
    await load(
      `${orders(`{ balancer: { sticky: { cookieSecret: ${secret} }, type: maglev, hashOn: [{ header: x-a }] } }`).replace('{ endpoints', `{ consul: { token: ${secret} }, endpoints`)}`,
    ),
  ]
  const lines = [...diffDiscovery(before.discovery, after.discovery), ...diffSnapshots(before.snapshot, after.snapshot)]
  expect(lines).toEqual(
    expect.arrayContaining([
      'discovery: consul.token changed',
      'discovery: consul.wait none -> 5m',
      'service orders: balancer.sticky.secret changed',
      'service orders: balancer.hashOn [] -> [{"kind":"header","name":"x-a","terminal":false}]',
    ]),
  )
  expect(lines.join('\n')).not.toMatch(/sesame|none -> none|object Object/)
})

test('what a reload cannot change is said to need a restart', async () => {
  const [before, after] = [await load(''), await load('admin: off\nworkers: 4')]
  expect(diffBootstraps(before.bootstrap, after.bootstrap)).toEqual([
    'workers 1 -> 4 (needs a restart)',
    'admin 127.0.0.1:15000 -> off (needs a restart)',
  ])
  expect(diffBootstraps(before.bootstrap, before.bootstrap)).toEqual([])
})
