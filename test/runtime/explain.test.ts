import { describe, expect, test } from 'vitest'
import type { ExplainAnswer } from '../../proxy/core/channel.ts'
import { drawText } from '../../proxy/runtime/explain-words.ts'
import { Mesh } from '../support/mesh.ts'
import { A, type OrdersOptions, orders } from '../support/orders.ts'
import { listenerSpec, serviceSpec, snapshotOf } from '../support/specs.ts'

/** What /explain says of gRPC. */
async function explained(options: OrdersOptions, headers: readonly (readonly [string, string])[]) {
  const { mesh } = await orders(options)
  // Real clocks count in fractions.
  mesh.advance(1234.5678)
  mesh.thread.receive({
    kind: 'ask',
    id: 1,
    question: { what: 'explain', method: 'POST', url: '/shop.Orders/Get', headers, listener: null },
  })
  const reply = mesh.messages.findLast(message => message.kind === 'answer')
  if (reply?.kind !== 'answer') throw new Error('no answer')
  const { steps, record } = reply.answer as ExplainAnswer
  return { text: steps.find(({ stage }) => stage === 'grpc')?.text, record }
}

const grpc = ['content-type', 'application/grpc'] as const

test.each<[string, OrdersOptions, readonly (readonly [string, string])[], string | undefined, number | null]>([
  ['a call', { protocol: 'grpc' }, [grpc], 'gRPC; no deadline', null],
  ['a deadline', { protocol: 'grpc' }, [grpc, ['grpc-timeout', '2500m']], 'gRPC; deadline 2500ms', 2500],
  ['a short one', { protocol: 'grpc' }, [grpc, ['grpc-timeout', '333u']], 'gRPC; deadline 0.333ms', 0.333],
  ['one that is none', { protocol: 'grpc' }, [grpc, ['grpc-timeout', '7n']], 'gRPC; the deadline is over at once', 0],
  [
    'a longest one',
    { protocol: 'grpc', timeouts: { grpcTimeoutMaxMs: 2000 } },
    [grpc, ['grpc-timeout', '1H']],
    'gRPC; deadline 2s',
    2000,
  ],
  [
    'no deadline wanted',
    { protocol: 'grpc', timeouts: { grpcTimeout: 'pass' } },
    [grpc, ['grpc-timeout', '1S']],
    'gRPC; a deadline is passed on and not enforced',
    null,
  ],
  [
    'a malformed one',
    { protocol: 'grpc' },
    [grpc, ['grpc-timeout', 'soon']],
    'gRPC; refused: grpc-timeout is not one to eight digits and a unit of H, M, S, m, u, n',
    null,
  ],
  [
    'gRPC-Web',
    { protocol: 'grpc' },
    [['content-type', 'application/grpc-web-text']],
    'grpc-web-text, translated to gRPC; no deadline',
    null,
  ],
  [
    'gRPC-Web that passes',
    { protocol: 'http2' },
    [['content-type', 'application/grpc-web']],
    'grpc-web, passed as it is; no deadline',
    null,
  ],
  [
    'a service that does not say',
    {},
    [grpc],
    'the endpoints are called with HTTP/1.1: gRPC needs `protocol: grpc` in the policy of orders',
    null,
  ],
  ['no gRPC', { protocol: 'grpc' }, [], undefined, null],
])('%s', async (_name, options, headers, text, deadlineMs) => {
  const found = await explained(options, headers)
  expect(found.text).toBe(text)
  if (deadlineMs === null) expect(found.record?.deadlineMs).toBeNull()
  else expect(found.record?.deadlineMs).toBeCloseTo(deadlineMs, 3)
})

test('an upgrade that the service does not allow', async () => {
  const { mesh } = await orders()
  const ask = (upgrade: string, ...headers: [string, string][]) => {
    const question = {
      what: 'explain',
      method: 'GET',
      url: '/chat',
      headers: [['Upgrade', upgrade], ...headers] as [string, string][],
      listener: null,
    } as const
    mesh.thread.receive({ kind: 'ask', id: 1, question })
    const reply = mesh.messages.findLast(message => message.kind === 'answer')
    return reply?.kind === 'answer' ? (reply.answer as ExplainAnswer) : null
  }
  const texts = (answer: ExplainAnswer | null) => answer!.steps.map(({ text }) => text).join('\n')
  const irc = ask('irc')
  expect(irc).toMatchObject({ record: { failure: '' } })
  expect(texts(irc)).toContain('irc is not among the upgrades of orders (websocket); the offer is ignored')
  expect(texts(ask('irc, WebSocket'))).toContain(
    'irc,websocket is not among the upgrades of orders (websocket); websocket is asked for',
  )
  expect(ask('websocket')).toMatchObject({ record: { failure: '' } })
  const reasons = await mesh.apply(
    snapshotOf([serviceSpec('orders', [A], { upgrades: [] })], [listenerSpec({ service: 'orders' })]),
  )
  expect(reasons).toEqual([])
  const refused = ask('websocket', ['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='])
  expect(refused).toMatchObject({ record: { failure: 'tunnel-refused', status: 403 } })
  expect(refused!.steps.at(-1)!.text).toBe('websocket is not among the upgrades of orders (none)')
})

const open = (...services: ReturnType<typeof serviceSpec>[]) => snapshotOf(services, undefined, { onDemandMs: 2_000 })
const microtasks = () => new Promise(resolve => setImmediate(resolve))

/** What a sidecar with one shared port answers. */
function asked(mesh: Mesh, url: string, method = 'GET'): void {
  mesh.thread.receive({ kind: 'ask', id: 1, question: { what: 'explain', method, url, headers: [], listener: null } })
}

function answered(mesh: Mesh): ExplainAnswer | null {
  const reply = mesh.messages.findLast(message => message.kind === 'answer')
  return reply?.kind === 'answer' ? (reply.answer as ExplainAnswer) : null
}

describe('a service that nobody has asked for yet', () => {
  test('is looked up as for a request, and the explanation is that of the request', async () => {
    const mesh = await Mesh.start(open())
    asked(mesh, 'http://cart/')
    expect(mesh.messages).toContainEqual({ kind: 'want', service: 'cart' })
    expect(answered(mesh)).toBeNull()
    await mesh.apply(open(serviceSpec('cart', ['10.0.0.9:80'])))
    await microtasks()
    expect(answered(mesh)).toMatchObject({ record: { failure: '', service: 'cart' } })
    expect(answered(mesh)!.steps[1]!.text).toBe('cart: found by host "cart", and in the registry on demand')
  })

  test('is not there: 404, with the reason of the registry', async () => {
    const mesh = await Mesh.start(open(serviceSpec('carts', ['10.0.0.9:80'])))
    asked(mesh, 'http://cart/')
    mesh.thread.receive({
      kind: 'unknown-service',
      service: 'cart',
      why: { certain: true, reason: 'Consul knows no instance of "cart"' },
    })
    await microtasks()
    expect(answered(mesh)!.record).toMatchObject({
      status: 404,
      detail: 'Consul knows no instance of "cart"',
      remedy: expect.stringMatching(/^did you mean carts\?/),
    })
  })

  test('cannot be looked up: 503 NC', async () => {
    const mesh = await Mesh.start(open())
    asked(mesh, 'http://cart/')
    mesh.thread.receive({
      kind: 'unknown-service',
      service: 'cart',
      why: { certain: false, reason: 'Consul refused the connection' },
    })
    await microtasks()
    expect(answered(mesh)!.record).toMatchObject({ status: 503, flag: 'NC', detail: 'Consul refused the connection' })
  })

  test('is not asked for where no registry is', async () => {
    const mesh = await Mesh.start(snapshotOf([serviceSpec('cart', ['10.0.0.9:80'])]))
    asked(mesh, 'http://nix/')
    expect(answered(mesh)!.record).toMatchObject({
      status: 404,
      detail: 'no service is known as "nix"',
      remedy: expect.stringMatching(/^known are cart: add the host/),
    })
  })
})

describe('what a question may be', () => {
  test.each([
    ['cart', 'cart', '/'],
    ['cart:80/a/b?c=d', 'cart:80', '/a/b?c=d'],
    ['http://cart?x=1', 'cart', '/?x=1'],
    ['HTTP://cart/a#b', 'cart', '/a'],
    ['http://[::1]:80/a', '[::1]:80', '/a'],
  ])('%s', async (url, authority, path) => {
    const mesh = await Mesh.start(snapshotOf([serviceSpec('cart', ['10.0.0.9:80'])]))
    asked(mesh, url)
    expect(answered(mesh)).toMatchObject({ error: '', record: { authority, path } })
  })

  test.each(['', 'ftp://cart/', 'http://', '%%', 'http://a b/'])(
    '%j is none, and no words of one asking place are in the answer',
    async url => {
      const mesh = await Mesh.start(snapshotOf([serviceSpec('cart', ['10.0.0.9:80'])]))
      asked(mesh, url)
      expect(answered(mesh)!.error).toMatch(/is neither a URL nor a path: write http:\/\/orders\/api/)
    },
  )
})

test('no route matches: what the routes want', async () => {
  const cart = serviceSpec('cart', ['10.0.0.9:80'])
  const mesh = await Mesh.start(
    snapshotOf([
      { ...cart, routes: cart.routes.map(route => ({ ...route, match: { ...route.match, methods: ['GET'] } })) },
    ]),
  )
  asked(mesh, 'http://cart/a', 'PUT')
  expect(answered(mesh)!.record).toMatchObject({
    status: 404,
    detail: 'no route of cart matches PUT /a',
    remedy: 'its routes want: any path, method GET. Add one that matches, or a last one without `match:`',
  })
})

test.each([
  [-1, [{ name: 'a', weight: 1 }], 'the only destination'],
  [
    0.0868,
    [
      { name: 'a/v1', weight: 9 },
      { name: 'a/v2', weight: 1 },
    ],
    'drawn with 0.0868: a/v1 90 % (0 to 0.9), a/v2 10 % (0.9 to 1)',
  ],
  [
    0.5,
    [
      { name: 'a', weight: 1 },
      { name: 'b', weight: 2 },
    ],
    'drawn with 0.5000: a 33.3333 % (0 to 0.3333), b 66.6667 % (0.3333 to 1)',
  ],
])('a draw of %d is told with the weights', (draw, destinations, text) => {
  expect(drawText(draw, destinations)).toBe(text)
})

test('who is ejected, for how long and why; and nothing is sent to what is probing', async () => {
  const { mesh } = await orders({
    endpoints: ['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80'],
    outliers: { consecutiveGatewayFailures: 2, baseEjectionMs: 10_000 },
    retries: { on: [] },
  })
  mesh.upstream('10.0.0.1:80').connect = 'refuse'
  const caller = mesh.caller()
  for (let i = 0; i < 6; i++) {
    caller.get('/')
    mesh.settle()
  }
  const explained = () => {
    mesh.thread.receive({
      kind: 'ask',
      id: 7,
      question: { what: 'explain', method: 'GET', url: 'http://orders/', headers: [], listener: null },
    })
    const reply = mesh.messages.findLast(message => message.kind === 'answer' && message.id === 7)!
    return (reply as { answer: ExplainAnswer }).answer
  }
  mesh.advance(2_000)
  expect(explained().steps.filter(({ stage }) => stage === 'ejected')).toEqual([
    {
      stage: 'ejected',
      text: expect.stringMatching(
        /^10\.0\.0\.1:80 is ejected for 8s more: 2 consecutive failures, last: connect-refused; connect-refused 2000 ms ago \(request .+\), connect-refused 2000 ms ago/,
      ),
    },
  ])
  mesh.advance(8_020)
  for (let i = 0; i < 3; i++) {
    const { record, steps } = explained()
    expect(record!.attempts[0]).toMatchObject({ endpoint: '10.0.0.1:80', way: ['probe of an ejected endpoint'] })
    expect(steps.find(({ stage }) => stage === 'ejected')!.text).toContain('10.0.0.1:80 is probing')
  }
  mesh.upstream('10.0.0.1:80').connect = 'accept'
  caller.get()
  mesh.settle()
  expect(mesh.flight.attempts[0]).toMatchObject({ endpoint: '10.0.0.1:80', way: ['probe of an ejected endpoint'] })
  expect(explained().steps.filter(({ stage }) => stage === 'ejected')).toEqual([])
})
