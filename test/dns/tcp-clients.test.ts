import { describe, expect, test } from 'vitest'
import type { Asked } from '../../proxy/dns/answerer.ts'
import { framed } from '../../proxy/dns/message-stream.ts'
import { tcpClients } from '../../proxy/dns/tcp-clients.ts'
import { Waiting } from '../../proxy/dns/waiting.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { type MemoryWire, wirePair } from '../support/memory-wire.ts'
import { queryFor } from './messages.ts'

/** Clients over wires in memory; queries wait until the test answers them. */
function setUp({ most = 10 } = {}) {
  const loop = new EventLoop()
  const asked: { bytes: Buffer; asked: Asked }[] = []
  const clients = tcpClients({
    most,
    clock: manualClock(loop),
    waiting: new Waiting({ most: 1_000, perClient: 1_000 }),
    answer(bytes, one) {
      if (bytes.length < 12) return false
      asked.push({ bytes: Buffer.from(bytes), asked: one })
      return true
    },
  })
  const connect = () => {
    const [wire, accepted] = wirePair(loop)
    let received = Buffer.alloc(0)
    /** It was told that nothing more comes. */
    const state = { closed: false }
    wire.handler = {
      bytes(chunk, length) {
        received = Buffer.concat([received, chunk.subarray(0, length)])
      },
      drained() {},
      ended() {
        state.closed = true
      },
      closed() {
        state.closed = true
      },
    }
    clients.accept(accepted)
    const send = (bytes: Buffer) => {
      wire.write(Buffer.from(bytes))
      loop.settle()
    }
    return { wire: wire as MemoryWire, send, state, received: () => received }
  }
  const answer = (at: number) => {
    asked[at]!.asked.reply(Buffer.from(`answer ${at}`), null)
    loop.settle()
  }
  return { loop, clients, connect, asked, answer }
}

const query = (id: number) => framed(queryFor('orders.mesh', 1, { id }))

describe('a connection', () => {
  test('may send queries in pieces and one behind the other, and gets answers as they come', () => {
    const { connect, asked, answer } = setUp()
    const client = connect()
    const both = Buffer.concat([query(1), query(2)])
    for (let i = 0; i < both.length; i++) client.send(both.subarray(i, i + 1))
    expect(asked.map(({ bytes }) => bytes.readUInt16BE())).toEqual([1, 2])
    expect(asked.every(one => one.asked.overTcp)).toBe(true)
    answer(1)
    answer(0)
    expect(client.received()).toEqual(Buffer.concat([framed(Buffer.from('answer 1')), framed(Buffer.from('answer 0'))]))
  })

  test('without a query is closed after ten seconds; one that waits for its answer is not', () => {
    const { loop, connect, clients, answer } = setUp()
    const [silent, slow, partial] = [connect(), connect(), connect()]
    slow.send(query(1))
    partial.send(query(2).subarray(0, 5))
    loop.advance(9_000)
    partial.send(query(2).subarray(5, 6))
    loop.advance(1_100)
    expect([silent, slow, partial].map(({ state }) => state.closed)).toEqual([true, false, true])
    loop.advance(60_000)
    answer(0)
    expect(slow.state.closed).toBe(false)
    loop.advance(10_100)
    expect(slow.state.closed).toBe(true)
    expect(clients.size).toBe(0)
  })

  test('that has said all it had gets its answers, and then the end', () => {
    const { loop, connect, answer, clients } = setUp()
    const client = connect()
    client.send(query(1))
    client.wire.end()
    loop.settle()
    expect(client.state.closed).toBe(false)
    answer(0)
    expect(client.state.closed).toBe(true)
    expect(clients.size).toBe(0)
  })

  test('that sends no query, or one that is too long, is closed', () => {
    const { connect } = setUp()
    const [short, long] = [connect(), connect()]
    short.send(framed(Buffer.from('x')))
    long.send(Buffer.from([0x10, 0x01]))
    expect([short.state.closed, long.state.closed]).toEqual([true, true])
  })

  test('has 64 queries under way; the next are read when half of them are answered', () => {
    const { connect, asked, answer } = setUp()
    const client = connect()
    client.send(Buffer.concat(Array.from({ length: 200 }, (_, id) => query(id))))
    expect(asked).toHaveLength(64)
    for (let i = 0; i < 31; i++) answer(i)
    expect(asked).toHaveLength(64)
    answer(31)
    expect(asked).toHaveLength(96)
    for (let i = 32; i < 200; i++) answer(i)
    expect(asked).toHaveLength(200)
  })

  test('that is gone gets no answer, and its queries wait no longer', () => {
    const { loop, connect, clients, asked, answer } = setUp()
    const client = connect()
    client.send(query(1))
    client.wire.reset()
    loop.settle()
    expect(clients.size).toBe(0)
    answer(0)
    expect(asked).toHaveLength(1)
  })
})

test('where all connections are busy another one is refused; an idle one gives way, the oldest first', () => {
  const { loop, connect, clients } = setUp({ most: 2 })
  const [first, second] = [connect(), connect()]
  first.send(query(1))
  const third = connect()
  third.send(query(2))
  expect([first.state.closed, second.state.closed, third.state.closed]).toEqual([false, true, false])
  const fourth = connect()
  loop.settle()
  expect(fourth.state.closed).toBe(true)
  expect(clients.size).toBe(2)
  clients.closeAll()
  expect(clients.size).toBe(0)
})
