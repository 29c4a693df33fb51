import { describe, expect, test } from 'vitest'
import type { AddressSpec } from '../../mesh-config/snapshot.ts'
import type { AskByDatagram, DatagramListener } from '../../proxy/core/datagrams.ts'
import { forwarder } from '../../proxy/dns/forward.ts'
import { type Query, readQuery } from '../../proxy/dns/message.ts'
import { nameServers, serversOf } from '../../proxy/dns/name-servers.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { answerTo, queryFor, readAnswer } from './messages.ts'

interface Sent {
  readonly server: string
  readonly bytes: Buffer
  readonly listener: DatagramListener
  isOpen: boolean
}

/** A forwarder before two name servers that answer as the test says. */
function setUp(servers = ['10.0.0.1', '10.0.0.2']) {
  const loop = new EventLoop()
  const clock = manualClock(loop)
  const sent: Sent[] = []
  const ask: AskByDatagram = ({ address }, bytes, listener) => {
    const one: Sent = { server: address, bytes: Buffer.from(bytes), listener, isOpen: true }
    sent.push(one)
    return () => {
      one.isOpen = false
    }
  }
  let ids = 100
  let timeouts = 0
  const made = forwarder({
    servers: nameServers({
      configured: servers.map(address => ({ address, port: 53 })),
      resolvConf: () => Promise.resolve(''),
      isSelf: () => false,
      changed: () => {},
      clock,
    }),
    timeoutMs: 4_000,
    clock,
    randomId: () => ids++,
    ask,
    dial: () => () => {},
    count: { sent: () => {}, timedOut: () => void timeouts++ },
  })
  const results: (Buffer | string)[] = []
  const forward = (name = 'a.example') => {
    const bytes = queryFor(name, 1, { id: 7 })
    return made.forward(readQuery(bytes) as Query, bytes, false, answer => results.push(answer))
  }
  return { loop, sent, made, results, forward, timeouts: () => timeouts }
}

const read = (answer: Buffer | string | undefined) => readAnswer(answer as Buffer)

describe('a query that is forwarded', () => {
  test('goes out with an id of its own, and its answer comes back with that of the client', () => {
    const { sent, results, forward } = setUp()
    forward()
    expect(sent[0]!.bytes.readUInt16BE(0)).toBe(100)
    sent[0]!.listener.received(answerTo(sent[0]!.bytes, 0, ['1.2.3.4']))
    expect(read(results[0])).toMatchObject({ id: 7, addresses: ['1.2.3.4'] })
    expect(sent[0]!.isOpen).toBe(false)
  })

  test('is not answered by what it did not ask: another id, another name', () => {
    const { sent, results, forward } = setUp()
    forward()
    const { bytes, listener } = sent[0]!
    const forged = answerTo(bytes, 0, ['6.6.6.6'])
    forged.writeUInt16BE(101, 0)
    listener.received(forged)
    listener.received(answerTo(queryFor('b.example', 1, { id: 100 }), 0, ['6.6.6.6']))
    listener.received(Buffer.from('nonsense'))
    expect(results).toEqual([])
    listener.received(answerTo(bytes, 0, ['1.2.3.4']))
    expect(read(results[0]).addresses).toEqual(['1.2.3.4'])
  })

  test('goes to the next server after a quarter of the time; the first answer counts', () => {
    const { loop, sent, results, forward } = setUp()
    forward()
    loop.advance(1_100)
    expect(sent.map(({ server }) => server)).toEqual(['10.0.0.1', '10.0.0.2'])
    // The first one was only slow.
    sent[0]!.listener.received(answerTo(sent[0]!.bytes, 0, ['1.2.3.4']))
    expect(read(results[0]).addresses).toEqual(['1.2.3.4'])
    expect(sent.every(({ isOpen }) => !isOpen)).toBe(true)
    loop.advance(10_000)
    expect(results).toHaveLength(1)
  })

  test('comes first to a server that answers, while another one does not', () => {
    const { loop, sent, forward } = setUp()
    forward()
    loop.advance(1_100)
    sent[1]!.listener.received(answerTo(sent[1]!.bytes, 0, ['1.2.3.4']))
    forward()
    expect(sent[2]!.server).toBe('10.0.0.2')
    // After a while the first has another chance.
    loop.advance(10_000)
    forward()
    expect(sent.at(-1)!.server).toBe('10.0.0.1')
  })

  test('ends when its time is over', () => {
    const { loop, sent, results, forward, timeouts } = setUp()
    forward()
    loop.advance(3_900)
    expect(results).toEqual([])
    loop.advance(200)
    expect(results).toEqual(['late'])
    expect(timeouts()).toBe(1)
    expect(sent.length).toBeLessThanOrEqual(4)
    expect(sent.every(({ isOpen }) => !isOpen)).toBe(true)
  })

  test('goes on at once where nothing listens, and fails at once where nothing listens anywhere', () => {
    const { sent, results, forward } = setUp()
    forward()
    sent[0]!.listener.failed('ECONNREFUSED')
    expect(sent).toHaveLength(2)
    sent[1]!.listener.failed('ECONNREFUSED')
    expect(results).toEqual(['failed'])
  })

  test.each([2, 4, 5])('asks the next server after code %i, and gets that code where no other one answers', code => {
    const { sent, results, forward } = setUp()
    forward()
    sent[0]!.listener.received(answerTo(sent[0]!.bytes, code))
    expect(results).toEqual([])
    sent[1]!.listener.received(answerTo(sent[1]!.bytes, code))
    expect(read(results[0])).toMatchObject({ id: 7, code })
  })

  test('that does not exist is not asked of the next server', () => {
    const { sent, results, forward } = setUp()
    forward()
    sent[0]!.listener.received(answerTo(sent[0]!.bytes, 3))
    expect(read(results[0]).code).toBe(3)
    expect(sent).toHaveLength(1)
  })

  test('can be given up', () => {
    const { loop, sent, results, forward } = setUp()
    forward()()
    expect(sent[0]!.isOpen).toBe(false)
    loop.advance(10_000)
    expect(results).toEqual([])
  })

  test('without a server has no answer', async () => {
    const { results, forward } = setUp([])
    forward()
    await Promise.resolve()
    await Promise.resolve()
    await Promise.resolve()
    expect(results).toEqual(['no server'])
  })

  test('is known when it comes back', () => {
    const { sent, made, forward } = setUp()
    forward()
    expect(made.isOwn(readQuery(sent[0]!.bytes) as Query)).toBe(true)
    expect(made.isOwn(readQuery(queryFor('a.example', 1, { id: 99 })) as Query)).toBe(false)
    expect(made.isOwn(readQuery(queryFor('b.example', 1, { id: 100 })) as Query)).toBe(false)
  })
})

describe('the servers of the system', () => {
  test('are the lines of resolv.conf', () =>
    expect(
      serversOf('# nameserver 1.1.1.1\nnameserver 10.0.0.1\n nameserver\tfe80::1%eth0 # x\nnameserver x\nsearch a\n'),
    ).toEqual([
      { address: '10.0.0.1', port: 53 },
      { address: 'fe80::1%eth0', port: 53 },
    ]))

  test('are read again when the file changes, and the sidecar itself is none of them', async () => {
    const loop = new EventLoop()
    let text = 'nameserver 10.0.0.1\nnameserver 127.0.0.1'
    const changes: (readonly AddressSpec[])[] = []
    const servers = nameServers({
      configured: [],
      resolvConf: () => Promise.resolve(text),
      isSelf: ({ address }) => address === '127.0.0.1',
      changed: list => changes.push(list),
      clock: manualClock(loop),
    })
    await servers.refresh()
    expect(servers.inOrder()).toEqual([{ address: '10.0.0.1', port: 53 }])
    text = 'nameserver 10.0.0.9'
    expect(servers.refresh()).toBe(null)
    loop.advance(1_000)
    await servers.refresh()
    expect(servers.inOrder()).toEqual([{ address: '10.0.0.9', port: 53 }])
    loop.advance(1_000)
    await servers.refresh()
    expect(changes).toHaveLength(2)
  })
})
