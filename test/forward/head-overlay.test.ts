import { expect, test } from 'vitest'
import { Exchange } from '../../proxy/core/exchange.ts'
import { failures } from '../../proxy/core/failure.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import type { UpstreamStream } from '../../proxy/core/message.ts'
import { HeadOverlay, overlayGrpc } from '../../proxy/forward/head-overlay.ts'

const peer = { address: '10.0.0.1', port: 1, local: '127.0.0.1', localPort: 2 }

function call(...fields: string[]): Exchange {
  const headers = new HeaderList(fields)
  const request = { method: 'POST', scheme: 'http', authority: 'o', path: '/', upgrade: '', headers } as const
  const exchange = new Exchange(peer, 'outbound', 'h2', request)
  exchange.begin(request, 1000)
  return exchange
}

/** The fields that the endpoint of this attempt gets. */
function written(exchange: Exchange, now: number): Record<string, string> {
  const overlay = new HeadOverlay()
  overlayGrpc(overlay, exchange, now)
  let got: Record<string, string> = {}
  overlay.write({ head: () => (got = fieldsOf(exchange)) } as unknown as UpstreamStream, exchange.request, true)
  return got
}

function fieldsOf(exchange: Exchange): Record<string, string> {
  const fields: Record<string, string> = {}
  exchange.request.headers.forEach((name, value) => {
    fields[name] = value
  })
  return fields
}

/** An attempt that ended in `failure`; null: an answer. */
function tried(exchange: Exchange, failure: (typeof failures)[keyof typeof failures] | null): void {
  const record = exchange.decision.nextTry(1000)
  record.sentAt = 1001
  record.failure = failure
}

test('what one attempt adds is gone when its head is written', () => {
  const exchange = call('grpc-timeout', '500m', 'x', '1')
  exchange.deadlineAt = 1500
  tried(exchange, null)
  tried(exchange, null)
  expect(written(exchange, 1100)).toEqual({ x: '1', 'grpc-timeout': '400000u', 'grpc-previous-rpc-attempts': '1' })
  expect(fieldsOf(exchange)).toEqual({ 'grpc-timeout': '500m', x: '1' })
  tried(exchange, null)
  expect(written(exchange, 1200)).toMatchObject({ 'grpc-timeout': '300000u', 'grpc-previous-rpc-attempts': '2' })
  expect(fieldsOf(exchange)).toEqual({ 'grpc-timeout': '500m', x: '1' })
})

test("the caller's own count goes on, and comes back", () => {
  const exchange = call('grpc-previous-rpc-attempts', '2')
  tried(exchange, null)
  exchange.decision.nextTry(1100)
  expect(written(exchange, 1100)).toEqual({ 'grpc-previous-rpc-attempts': '3' })
  expect(fieldsOf(exchange)).toEqual({ 'grpc-previous-rpc-attempts': '2' })
})

test('attempts that reached no application do not count', () => {
  const exchange = call()
  tried(exchange, failures.refusedStream)
  exchange.decision.nextTry(1100)
  expect(written(exchange, 1100)).toEqual({})
})

test('an ordinary call has nothing to add', () => {
  const exchange = call('grpc-timeout', '500m')
  exchange.deadlineAt = 1500
  exchange.decision.nextTry(1000)
  const overlay = new HeadOverlay()
  overlayGrpc(overlay, exchange, 1000.5)
  expect(overlay.isEmpty).toBe(true)
})
