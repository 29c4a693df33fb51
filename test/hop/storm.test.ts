import { expect, test } from 'vitest'
import type { Caller } from '../support/caller.ts'
import { seeded } from '../support/random.ts'
import { between, expectQuiet, SIDECAR, twoSidecars } from '../support/two-sidecars.ts'
import type { UpstreamEnd } from '../support/upstream.ts'

/**
 * Callers that come, go and stop reading; answers that are slow; bytes that trickle; connections between the sidecars
 * that break: whatever happens in whatever order.
 */

/** `SEED=1000` takes others. */
const seeds = Array.from({ length: 20 }, (_, i) => Number(process.env.SEED ?? 1) + i)
let overHop = 0

test.each(seeds)('seed %i: every request has one answer, the right one, and nothing is left behind', async seed => {
  const random = seeded(seed)
  const below = (limit: number) => Math.floor(random() * limit)
  const readSize = below(3) === 0 ? () => 1 + below(40) : () => 64 * 1024
  const connections = 1 + below(12)
  const { mesh, application } = await twoSidecars({
    mesh: { seed, upstream: { readSize } },
    inbound: { limits: { streams: 1 + below(20) } },
    limits: { connections },
    offers: 1 + below(3),
    retries: { budget: { percent: 100, minPerSecond: 1000 }, attempts: 4 },
    outliers: { consecutiveGatewayFailures: 0 },
  })
  const waiting: [UpstreamEnd, string][] = []
  application.answer = (request, connection) => {
    const size = Number(/\d+$/.exec(request.target)![0])
    const answer = `HTTP/1.1 200 OK\r\nX-Path: ${request.target}\r\n`
    const text =
      size % 2 === 0
        ? `${answer}Content-Length: ${size}\r\n\r\n${'x'.repeat(size)}`
        : `${answer}Transfer-Encoding: chunked\r\n\r\n${size.toString(16)}\r\n${'x'.repeat(size)}\r\n0\r\nX-End: 1\r\n\r\n`
    if (below(3) === 0) waiting.push([connection, text])
    else connection.send(text)
  }
  const callers: { readonly caller: Caller; readonly paths: string[]; gone: boolean }[] = []

  for (let step = 0; step < 150; step++) {
    const open = callers.filter(({ caller, gone }) => !gone && !caller.gotEnd && !caller.wasReset)
    const one = open[below(open.length)]
    switch (below(9)) {
      case 0:
        callers.push({ caller: mesh.caller(), paths: [], gone: false })
        break
      case 1:
        waiting.splice(below(waiting.length), 1).forEach(([connection, text]) => void connection.send(text))
        break
      case 2:
        if (one !== undefined && below(4) === 0) {
          one.gone = true
          one.caller.close()
        }
        break
      case 3:
        if (below(3) === 0) mesh.cutLinked()
        break
      case 4:
        mesh.advance(below(3000))
        break
      default: {
        if (one === undefined || one.caller.responses.length < one.paths.length) break
        const path = `/${step}/${below(below(8) === 0 ? 300_000 : 300)}`
        one.paths.push(path)
        const hostless = below(10) === 0
        one.caller.send(
          hostless
            ? `GET ${path} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n`
            : `GET ${path} HTTP/1.1\r\nHost: orders\r\nX-Step: ${step}\r\n\r\n`,
        )
      }
    }
    if (below(2) === 0) mesh.settle()
    expect(between(mesh).connections).toBeLessThanOrEqual(connections)
  }
  for (let i = 0; i < 20; i++) {
    for (const [connection, text] of waiting.splice(0)) connection.send(text)
    mesh.advance(1000)
  }

  for (const { caller, paths, gone } of callers) {
    const whole = caller.responses.filter(response => response.whole)
    if (gone || caller.wasReset) continue
    expect(whole.map(({ status }) => status).filter(status => ![200, 502, 503, 504].includes(status))).toEqual([])
    // An answer that ends with its connection (chunked, to HTTP/1.0) may cross the next request.
    expect(whole.length).toBeGreaterThanOrEqual(paths.length - (caller.gotEnd ? 1 : 0))
    whole.forEach((response, i) => {
      if (response.status !== 200) return
      expect(response.names).toContain('X-Path')
      expect(response.header('x-path')).toBe(paths[i])
      expect(response.bodyBytes).toBe(Number(paths[i]!.split('/')[2]))
    })
  }
  overHop += mesh.flights().filter(({ attempts }) => attempts.some(({ hop }) => hop)).length
  for (const { caller } of callers) caller.close()
  mesh.advance(1000)
  expectQuiet(mesh)
  expect(mesh.endpoints()[0]!.endpoints[0]!.address).toBe(SIDECAR)
})

test('most of them went over the hop', () => {
  expect(overHop).toBeGreaterThan(seeds.length * 5)
})
