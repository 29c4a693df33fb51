import { expect, test } from 'vitest'
import { compile } from '../../mesh-config/compile.ts'
import { sidecarSchema } from '../../mesh-config/sidecar.ts'
import { healthShape } from '../../proxy/sync/health-shape.ts'
import { misshapen } from '../../proxy/sync/shape.ts'

function compiled(health: object): unknown {
  const document = { outbound: [{ listen: '127.0.0.1:1' }], services: { orders: { health } } }
  return JSON.parse(JSON.stringify(compile(sidecarSchema.parse(document)).snapshot.services.orders!.health))
}

test.each([
  { http: { path: '/a', headers: { 'x-a': '1' }, body: { regex: 'a' }, retriable: [] }, port: 9, tls: false },
  { tcp: {} },
  { tcp: { send: 'PING\r\n', receive: ['+PONG', { hex: '0A' }] } },
  { grpc: { service: 'a.A', headers: { 'x-a': '1' } } },
])('what comes of a policy has the shape that a proxy takes of its agent: %j', health => {
  expect(misshapen(compiled(health), healthShape)).toEqual([])
})

test.each<[object, string]>([
  [{ timeoutMs: 0 }, 'timeoutMs: no number from 1 to 2147483647'],
  [{ intervalMs: 1 }, 'intervalMs: no number from 100 to 2147483647'],
  [{ more: 1 }, 'more: unknown'],
  [{ check: { kind: 'tcp', send: 'zz', receive: [] } }, 'check.kind: none of grpc'],
])('%j does not', (over, reason) => {
  expect(misshapen({ ...(compiled({ tcp: {} }) as object), ...over }, healthShape)).toContain(reason)
})

test('a header that would break the message is refused', () => {
  const health = compiled({ grpc: {} }) as { check: object }
  const check = { ...health.check, headers: [['x-a', 'a\r\nb: c']] }
  expect(misshapen({ ...health, check }, healthShape)).toEqual(['check.headers[0]: no value of a header'])
})
