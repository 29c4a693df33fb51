import { expect, test } from 'vitest'
import type { ExplainAnswer } from '../../proxy/core/channel.ts'
import { A, type OrdersOptions, orders } from '../support/orders.ts'
import { listenerSpec, serviceSpec, snapshotOf } from '../support/specs.ts'

/** What /explain says of gRPC. */
async function explained(options: OrdersOptions, headers: readonly (readonly [string, string])[]) {
  const { mesh } = await orders(options)
  // Real clocks count in fractions.
  mesh.advance(1234.5678)
  mesh.thread.receive({ kind: 'ask', id: 1, question: { what: 'explain', method: 'POST', url: '/shop.Orders/Get', headers, listener: null } })
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
  ['a longest one', { protocol: 'grpc', timeouts: { grpcTimeoutMaxMs: 2000 } }, [grpc, ['grpc-timeout', '1H']], 'gRPC; deadline 2s', 2000],
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
  ['gRPC-Web', { protocol: 'grpc' }, [['content-type', 'application/grpc-web-text']], 'grpc-web-text, translated to gRPC; no deadline', null],
  ['gRPC-Web that passes', { protocol: 'http2' }, [['content-type', 'application/grpc-web']], 'grpc-web, passed as it is; no deadline', null],
  ['a service that does not say', {}, [grpc], 'the endpoints are called with HTTP/1.1: gRPC needs `protocol: grpc` in the policy of orders', null],
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
  expect(texts(ask('irc, WebSocket'))).toContain('irc,websocket is not among the upgrades of orders (websocket); websocket is asked for')
  expect(ask('websocket')).toMatchObject({ record: { failure: '' } })
  const reasons = await mesh.apply(snapshotOf([serviceSpec('orders', [A], { upgrades: [] })], [listenerSpec({ service: 'orders' })]))
  expect(reasons).toEqual([])
  const refused = ask('websocket', ['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='])
  expect(refused).toMatchObject({ record: { failure: 'tunnel-refused', status: 403 } })
  expect(refused!.steps.at(-1)!.text).toBe('websocket is not among the upgrades of orders (none)')
})
