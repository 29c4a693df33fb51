import { describe, expect, test } from 'vitest'
import { PREFACE } from '../../proxy/codec/h2/preface.ts'
import { type ConformanceCase, readCases } from '../conformance/read-cases.ts'
import type { Caller } from '../support/caller.ts'
import { expectQuiet, type Orders, orders, warm } from '../support/orders.ts'

/**
 * Every request that the conformance cases refuse, sent to a whole data thread: what the caller gets, and above all
 * what the endpoint gets.
 */
const cases = readCases()
  .filter(({ kind, events }) => kind === 'request' && events.some(event => /^(refused|reset) /.test(event)))
  // A listener knows these: the one is HTTP/2 from there on, the other is answered in the words of TLS.
  .filter(({ bytes }) => !bytes.equals(PREFACE) && bytes[0] !== 0x16)
const beforeTheHead = cases.filter(({ events }) => events.at(-1)!.startsWith('refused'))
const insideTheBody = cases.filter(({ events }) => events.at(-1)!.startsWith('reset'))

function start({ limits }: ConformanceCase): Promise<Orders> {
  const { maxHeaders, maxHeadBytes, maxTargetBytes } = limits
  return orders({
    listener: {
      limits: {
        ...(maxHeaders !== undefined && { headers: maxHeaders }),
        ...(maxHeadBytes !== undefined && { headBytes: maxHeadBytes }),
        ...(maxTargetBytes !== undefined && { targetBytes: maxTargetBytes }),
      },
    },
  })
}

const ways = {
  whole: (caller: Caller, { bytes }: ConformanceCase, settle: () => void) => {
    caller.send(bytes)
    settle()
  },
  'a byte at a time': (caller: Caller, { bytes }: ConformanceCase, settle: () => void) => {
    caller.send(bytes.subarray(0, 1), 'GET')
    for (let i = 1; i < Math.min(bytes.length, 2000); i++) {
      caller.sendMore(bytes.subarray(i, i + 1))
      settle()
      // A real caller notices, too.
      if (caller.gotEnd) break
    }
    if (bytes.length > 2000 && !caller.gotEnd) caller.sendMore(bytes.subarray(2000))
    settle()
  },
}

function statusOf({ events }: ConformanceCase): number {
  return Number(events.at(-1)!.split(' ')[1]!.replace(':', ''))
}

describe.each(Object.entries(ways))(
  'a malformed head, %s, is refused and nothing of it is forwarded',
  (_name, send) => {
    test.each(beforeTheHead.map(found => [`${found.file}: ${found.title}`, found] as const))(
      '%s',
      async (_title, example) => {
        const { mesh, upstream } = await start(example)
        warm(mesh)
        const before = upstream.received
        const good = example.events.filter(event => event.startsWith('request ')).length
        const caller = mesh.caller()
        send(caller, example, () => mesh.settle())
        mesh.advance(2000)

        expect(caller.last.status).toBe(statusOf(example))
        expect(caller.last.header('connection')).toBe('close')
        expect(caller.last.header('content-type')).toBe('application/problem+json')
        expect(JSON.parse(caller.last.text)).toMatchObject({ status: statusOf(example), flag: 'DPE' })
        expect(caller.over, 'the connection is closed').toBe(true)
        expect(caller.wasReset, 'without destroying the answer').toBe(false)
        // The request for the warm connection, and those before the bad one.
        expect(upstream.requests.length).toBe(1 + good)
        if (good === 0) expect(upstream.received).toBe(before)
        expect(mesh.flight).toMatchObject({ status: statusOf(example), flag: 'DPE', attempts: [] })
        expectQuiet(mesh)
      },
    )
  },
)

describe.each(Object.entries(ways))(
  'a body that breaks the rules, %s, never becomes a whole request',
  (_name, send) => {
    test.each(insideTheBody.map(found => [`${found.file}: ${found.title}`, found] as const))(
      '%s',
      async (_title, example) => {
        const { mesh, upstream } = await start(example)
        warm(mesh)
        const caller = mesh.caller()
        send(caller, example, () => mesh.settle())
        if (example.end) caller.end()
        mesh.advance(2000)

        if (!example.end) {
          expect(caller.last.status).toBe(statusOf(example))
          expect(caller.last.header('connection')).toBe('close')
        }
        expect(caller.over, 'the connection is closed').toBe(true)
        // As a body streams, its head may be there; its end may not.
        for (const request of upstream.requests.slice(1)) expect(request.whole).toBe(false)
        for (const connection of upstream.connections) expect(connection.over || !connection.reader.pending).toBe(true)
        expect(upstream.received).not.toMatch(/evil/)
        expect(mesh.flight.flag).toBe(example.end ? 'DC' : 'DPE')
        expectQuiet(mesh)
      },
    )
  },
)
