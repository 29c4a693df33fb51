import { describe, expect, test } from 'vitest'
import { meet, type TwoSidecars, twoSidecars } from '../support/two-sidecars.ts'

/** Who calls, as the metrics of the called sidecar have it. Both sidecars are of the service `web` here. */

const inbound = ({ mesh }: TwoSidecars, source: string) =>
  mesh.stat('http_requests_total', { direction: 'inbound', source, destination: 'web' })

async function call(both: TwoSidecars, more = ''): Promise<string> {
  const { mesh, application } = both
  const before = application.received.length
  application.answer = (_request, connection) => connection.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  const caller = mesh.caller()
  caller.send(`GET / HTTP/1.1\r\nHost: orders\r\n${more}\r\n`)
  mesh.settle()
  expect(caller.received).toContain('200 OK')
  caller.close()
  mesh.settle()
  return application.received.slice(before)
}

describe('a sidecar says its service', () => {
  test('to another sidecar, and the application does not see it', async () => {
    const both = await twoSidecars()
    meet(both.mesh)
    const before = inbound(both, 'web')
    expect(await call(both)).not.toContain('outrigger-source')
    expect(inbound(both, 'web')).toBe(before + 1)
    expect(both.mesh.stat('http_requests_total', { direction: 'outbound', source: 'web', destination: 'orders' })).toBe(
      3,
    )
  })

  test('and not by HTTP/1.1: then the caller is unknown', async () => {
    const both = await twoSidecars({ multiplex: false })
    await call(both)
    expect([inbound(both, 'unknown'), inbound(both, 'web')]).toEqual([1, 0])
  })

  test('whatever its application says of itself', async () => {
    const both = await twoSidecars()
    meet(both.mesh)
    await call(both, 'outrigger-source: admin\r\n')
    expect(inbound(both, 'admin')).toBe(0)
  })

  test('to no other endpoint, also where it speaks HTTP/2', async () => {
    const both = await twoSidecars({ protocol: 'http2', offers: 0 })
    await call(both)
    expect([inbound(both, 'unknown'), inbound(both, 'web')]).toEqual([1, 0])
    const sidecar = await twoSidecars({ protocol: 'http2' })
    await call(sidecar)
    await call(sidecar)
    expect(inbound(sidecar, 'web')).toBeGreaterThan(0)
  })
})
