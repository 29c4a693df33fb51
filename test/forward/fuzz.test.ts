import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cutAt } from '../support/cuts.ts'
import { askLlhttp } from '../support/llhttp.ts'
import type { Mesh } from '../support/mesh.ts'
import { damage, request, response } from '../support/messages.ts'
import { expectQuiet, orders, warm } from '../support/orders.ts'
import '../support/seed.ts'

/** Node knows a fixed list of methods only. */
const KNOWN = /^(GET|POST|PUT|DELETE|PATCH|OPTIONS|HEAD) /

/**
 * Each request at the endpoint is one that the proxy meant to send, and another parser than ours finds the same ones in
 * its bytes.
 */
function expectNothingSmuggled(mesh: Mesh): void {
  const sent = mesh
    .flights()
    .reduce((sum, { attempts }) => sum + attempts.filter(({ endpoint }) => endpoint !== '').length, 0)
  const [upstream] = mesh.upstreams
  expect(upstream?.requests.length ?? 0).toBeLessThanOrEqual(sent)
  for (const connection of upstream?.connections ?? []) {
    const own = connection.reader.messages
    if (!own.every(({ startLine }) => KNOWN.test(startLine))) continue
    const other = askLlhttp(Buffer.from(connection.received, 'latin1'))
    expect(other.targets).toEqual(own.map(({ target }) => target))
    expect(other.whole).toBe(own.filter(({ whole }) => whole).length)
    expect(other.bodies.join('|')).toBe(own.map(({ text }) => text).join('|'))
  }
}

const cuts = fc.array(fc.nat(1500), { maxLength: 6 })

test('damaged requests: the proxy neither falls over nor hangs, and what it forwards is well-formed and meant', async () => {
  let forwarded = 0
  let refused = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(request, { minLength: 1, maxLength: 4 }),
      damage,
      cuts,
      fc.boolean(),
      async (requests, hurt, places, isWarm) => {
        const { mesh, upstream } = await orders({ timeouts: { requestMs: 1000 } })
        if (isWarm) warm(mesh)
        const caller = mesh.caller()
        const bytes = Buffer.from(hurt(requests.map(one => one.bytes).join('')), 'latin1')
        // The reader cannot know what was asked, so it is told that nothing was a HEAD.
        if (/HEAD/.test(bytes.latin1Slice())) return
        for (const chunk of cutAt(bytes, places)) {
          caller.send(chunk, ...Array<string>(chunk === bytes ? 20 : 8).fill('GET'))
          mesh.settle()
        }
        mesh.advance(60_000)
        expectNothingSmuggled(mesh)
        forwarded += upstream.requests.length
        refused += caller.statuses.filter(status => status === 400).length
        caller.close()
        mesh.advance(2000)
        expectQuiet(mesh)
      },
    ),
    { numRuns: 700 },
  )
  // The damage is neither so great nor so small that one half was never seen.
  expect(forwarded).toBeGreaterThan(300)
  expect(refused).toBeGreaterThan(100)
})

test('random bytes: refused, or waited for', async () => {
  const { mesh, upstream } = await orders()
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 400 }), bytes => {
      const caller = mesh.caller()
      caller.send(Buffer.from(bytes), 'GET')
      mesh.advance(20_000)
      expect([[400], [408], [505], [414], []]).toContainEqual(caller.statuses)
      caller.close()
      mesh.advance(2000)
    }),
    { numRuns: 500 },
  )
  expect(upstream.dials).toBe(0)
  expectQuiet(mesh)
})

test('damaged responses: the caller gets whole answers or a reset, never a mixture', async () => {
  await fc.assert(
    fc.asyncProperty(response, damage, cuts, fc.boolean(), async (one, hurt, places, close) => {
      const { mesh, upstream } = await orders({ timeouts: { requestMs: 1000, idleMs: 5000 }, retries: { on: [] } })
      upstream.answer = (_request, connection) => {
        const chunks = cutAt(Buffer.from(hurt(one.bytes), 'latin1'), places)
        chunks.forEach((chunk, i) => {
          mesh.loop.after(i, () => {
            if (connection.over) return
            connection.send(chunk)
            if (close && i === chunks.length - 1) connection.end()
          })
        })
      }
      const caller = mesh.caller()
      for (let i = 0; i < 3; i++) caller.get(`/${i}`)
      mesh.advance(30_000)
      // An answer for each request, in order, until one breaks off.
      expect(caller.responses.length === 3 || caller.wasReset || caller.gotEnd).toBe(true)
      caller.responses.slice(0, -1).forEach(({ whole }) => {
        expect(whole).toBe(true)
      })
      if (!caller.wasReset) expect(caller.responses.every(({ whole }) => whole)).toBe(true)
      caller.close()
      mesh.advance(2000)
      expectQuiet(mesh)
    }),
    { numRuns: 700 },
  )
})

test('no answer of one request is ever given to another: each connection of the endpoint is watched', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(request, { minLength: 2, maxLength: 6 }),
      fc.array(fc.nat(3), { minLength: 6, maxLength: 6 }),
      async (requests, tails) => {
        const { mesh, upstream } = await orders({ retries: { on: [] } })
        let count = 0
        upstream.answer = (asked, connection) => {
          const body = asked.method === 'HEAD' ? '' : asked.target
          // Whatever an endpoint may add to its answer, it does not become the next one.
          const tail = ['', 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil', '\r\n', 'x'][
            tails[count++ % tails.length]!
          ]!
          connection.send(`HTTP/1.1 200 OK\r\nContent-Length: ${asked.target.length}\r\n\r\n${body}${tail}`)
        }
        const caller = mesh.caller()
        for (const one of requests) caller.send(Buffer.from(one.bytes, 'latin1'), one.method)
        mesh.advance(1000)
        expect(caller.responses.map(({ text }) => text)).toEqual(
          requests.map(({ method, target }) => (method === 'HEAD' ? '' : target)),
        )
        expectNothingSmuggled(mesh)
      },
    ),
    { numRuns: 200 },
  )
})
