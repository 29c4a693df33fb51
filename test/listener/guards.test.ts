import { expect, test } from 'vitest'
import type { ToControl } from '../../proxy/core/channel.ts'
import { hello, ping } from '../codec/h2/support/frames.ts'
import { expectQuiet, orders } from '../support/orders.ts'

// What an operator sees of a guard of HTTP/2; what the guards do is in test/codec/h2/attacks.test.ts and
// test/integration/http2-attacks.test.ts.

type Tripped = Extract<Extract<ToControl, { kind: 'event' }>['event'], { kind: 'http2-guard' }>
const flood = Buffer.concat([hello, ...Array.from({ length: 1200 }, () => ping())])

test('a guard that stops a caller is counted, logged with its address, and in the access log', async () => {
  const { mesh } = await orders()
  const events = () =>
    mesh.messages.flatMap(message =>
      message.kind === 'event' && message.event.kind === 'http2-guard' ? [message.event as Tripped] : [],
    )
  for (let i = 0; i < 3; i++) {
    mesh.caller().sendMore(flood)
    mesh.settle()
  }
  mesh.advance(2000)
  mesh.caller().sendMore(flood)
  mesh.advance(2000)
  expect(mesh.stat('outrigger_http2_guard_trips_total', { side: 'downstream', guard: 'chatter' })).toBe(4)
  expect(mesh.stat('outrigger_http2_guard_trips_total', { side: 'downstream', guard: 'resets' })).toBe(0)
  const detail = 'too many frames that carry nothing'
  expect(mesh.flight).toMatchObject({ status: 400, failure: 'bad-request', detail })
  // One line a second for each guard: who floods connections must not flood the log.
  expect(events()).toMatchObject([
    { side: 'downstream', guard: 'chatter', detail, unlogged: 0 },
    { side: 'downstream', guard: 'chatter', detail, unlogged: 2 },
  ])
  expect(events()[0]!.peer).toMatch(/^.+:\d+$/)
  expectQuiet(mesh)
})
