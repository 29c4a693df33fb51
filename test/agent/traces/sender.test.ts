import { type AddressInfo, createServer } from 'node:net'
import { Metadata, status } from '@grpc/grpc-js'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Collector } from '../../../agent/traces/collector.ts'
import { newCounters } from '../../../agent/traces/counters.ts'
import { type DiskQueue, diskQueue } from '../../../agent/traces/disk-queue.ts'
import { enricher } from '../../../agent/traces/enrich.ts'
import { grpcCollector } from '../../../agent/traces/grpc-collector.ts'
import { httpCollector } from '../../../agent/traces/http-collector.ts'
import { takeRequest } from '../../../agent/traces/pieces.ts'
import { keeper } from '../../../agent/traces/sampling.ts'
import { sender } from '../../../agent/traces/sender.ts'
import { requestOf, spanOf } from './support/otlp.ts'
import { grpcReceiver, httpReceiver, type Receiver } from './support/receiver.ts'

const keep = keeper({ share: 1, perSecond: 0, now: () => 0 })
const enrich = enricher(() => new Map())

interface Sending {
  readonly queue: DiskQueue
  readonly counters: ReturnType<typeof newCounters>
  readonly said: string[]
  readonly add: (service: string, ...names: string[]) => Promise<void>
  readonly part: ReturnType<typeof sender>
}

async function sendTo(collector: Collector): Promise<Sending> {
  const counters = newCounters()
  const said: string[] = []
  const log = { info: (line: string) => said.push(line), warn: (line: string) => said.push(line) }
  const queue = await diskQueue({ folder: null, maxBytes: 8 * 1024 ** 2, say: () => {} })
  const backOff = { firstMs: 5, factor: 1.5, mostMs: 50 }
  const part = sender({ queue, collector: () => collector, counters, log, delayMs: 5, backOff })
  onTestFinished(async () => {
    await part.stop()
    collector.close()
    await queue.close()
  })
  return {
    queue,
    counters,
    said,
    part,
    async add(service, ...names) {
      const spans = names.map(name => spanOf({ name }))
      await queue.add(takeRequest(requestOf(service, spans), { keep, enrich }).pieces)
    },
  }
}

interface Way {
  readonly name: string
  readonly receiver: () => Promise<Receiver>
  readonly collector: (port: number, more?: { compression?: 'gzip'; headers?: Record<string, string> }) => Collector
  /** What the receiver is told to say. */
  readonly again: (afterSeconds?: number) => ReturnType<Receiver['say']>
  readonly badContent: ReturnType<Receiver['say']>
  readonly badCaller: ReturnType<Receiver['say']>
  readonly partly: ReturnType<Receiver['say']>
}

const tls = { ca: null, cert: null, key: null }
const target = (protocol: 'grpc' | 'http', port: number) =>
  ({
    protocol,
    port,
    secure: false,
    host: '127.0.0.1',
    path: '/v1/traces',
    headers: {},
    compression: 'none',
  }) as const

/** ExportTraceServiceResponse: one span rejected, because of `x`. */
const partialSuccess = Buffer.from([0x0a, 5, 0x08, 1, 0x12, 1, 0x78])

/** google.rpc.Status with a RetryInfo, as the protos of googleapis have it, byte for byte. */
function retryInfo(seconds: number): Metadata {
  const url = Buffer.from('type.googleapis.com/google.rpc.RetryInfo')
  const info = Buffer.from([0x0a, 2, 0x08, seconds])
  const any = Buffer.concat([Buffer.from([0x0a, url.length]), url, Buffer.from([0x12, info.length]), info])
  const metadata = new Metadata()
  metadata.set('grpc-status-details-bin', Buffer.concat([Buffer.from([0x08, 8, 0x1a, any.length]), any]))
  return metadata
}

const ways: Way[] = [
  {
    name: 'HTTP',
    receiver: httpReceiver,
    collector: (port, more) => httpCollector({ target: { ...target('http', port), ...more }, tls, timeoutMs: 5_000 }),
    again: seconds => ({ status: 503, ...(seconds === undefined ? {} : { headers: { 'retry-after': `${seconds}` } }) }),
    badContent: { status: 400 },
    badCaller: { status: 401 },
    partly: { body: partialSuccess },
  },
  {
    name: 'gRPC',
    receiver: () => grpcReceiver(),
    collector: (port, more) => grpcCollector({ target: { ...target('grpc', port), ...more }, tls, timeoutMs: 5_000 }),
    again: seconds =>
      seconds === undefined
        ? { status: status.UNAVAILABLE }
        : { status: status.RESOURCE_EXHAUSTED, metadata: retryInfo(seconds) },
    badContent: { status: status.INVALID_ARGUMENT },
    badCaller: { status: status.UNAUTHENTICATED },
    partly: { rejected: 1, message: 'x' },
  },
]

describe.each(ways)('spans sent by $name', way => {
  test('come in order, several senders in one request', async () => {
    const receiver = await way.receiver()
    const { add, queue, counters } = await sendTo(way.collector(receiver.port))
    await Promise.all([add('a', 'a1', 'a2'), add('b', 'b1')])
    await add('a', 'a3')
    await expect.poll(() => receiver.names).toEqual(['a1', 'a2', 'b1', 'a3'])
    await expect.poll(() => queue.state().spans).toBe(0)
    expect(counters.exported).toBe(4)
    expect(receiver.requests.length).toBeLessThanOrEqual(2)
  })

  test('carry the headers, and gzip where asked for', async () => {
    const receiver = await way.receiver()
    const { add } = await sendTo(way.collector(receiver.port, { compression: 'gzip', headers: { 'x-key': 'k' } }))
    await add('a', ...Array.from({ length: 50 }, (_, index) => `a${index}`))
    await expect.poll(() => receiver.names.length).toBe(50)
    expect(receiver.requests[0]!.headers['x-key']).toBe('k')
    if (way.name === 'HTTP')
      expect(receiver.requests[0]!.headers).toMatchObject({ 'content-encoding': 'gzip', ':path': '/v1/traces' })
  })

  test('wait while the collector takes none, and come in order afterwards', async () => {
    const receiver = await way.receiver()
    receiver.say = () => way.again()
    const { add, queue, counters, said, part } = await sendTo(way.collector(receiver.port))
    for (let index = 0; index < 10; index++) await add('a', `a${index}`)
    await expect.poll(() => counters.exports.retried).toBeGreaterThan(3)
    expect(queue.state().spans).toBe(10)
    expect(part.trouble()).toMatch(/503|UNAVAILABLE/)
    expect(part.stalledMs()).toBeGreaterThan(0)
    receiver.say = () => ({})
    await expect.poll(() => receiver.names).toEqual(Array.from({ length: 10 }, (_, index) => `a${index}`))
    await expect.poll(() => part.trouble()).toBeNull()
    expect(said.length).toBe(2)
    expect(said[0]).toMatch(/takes no spans: .* spans wait for it/)
    expect(said[1]).toMatch(/takes spans again/)
  })

  test('wait for as long as the collector asks', async () => {
    const receiver = await way.receiver()
    receiver.say = () => (receiver.requests.length === 1 ? way.again(1) : {})
    const { add } = await sendTo(way.collector(receiver.port))
    await add('a', 'a1')
    await expect.poll(() => receiver.names).toEqual(['a1'])
    expect(receiver.requests[1]!.at - receiver.requests[0]!.at).toBeGreaterThanOrEqual(990)
  })

  test('that it refuses cost those of no other sender, and are not sent again', async () => {
    const receiver = await way.receiver()
    receiver.say = names => (names.includes('poison') ? way.badContent : {})
    const { add, counters, queue } = await sendTo(way.collector(receiver.port))
    await Promise.all([add('a', 'a1'), add('b', 'b1', 'b2'), add('bad', 'poison'), add('c', 'c1'), add('d', 'd1')])
    await expect.poll(() => queue.state().spans).toBe(0)
    expect(receiver.names).toEqual(['a1', 'b1', 'b2', 'c1', 'd1'])
    expect(counters.dropped.collector_refused).toBe(1)
    expect(counters.exported).toBe(5)
    expect(receiver.requests.filter(({ names }) => names.length === 1 && names[0] === 'poison').length).toBe(1)
  })

  test('that it refuses because of who sends them are lost one request at a time, and it says so', async () => {
    const receiver = await way.receiver()
    receiver.say = () => way.badCaller
    const { add, counters, said, part } = await sendTo(way.collector(receiver.port))
    await add('a', 'a1')
    await expect.poll(() => counters.dropped.collector_refused).toBe(1)
    expect(said[0]).toMatch(/refuses all spans: (401|UNAUTHENTICATED)/)
    expect(part.trouble()).not.toBeNull()
    receiver.say = () => ({})
    await add('a', 'a2')
    await expect.poll(() => receiver.names).toEqual(['a2'])
    await expect.poll(() => part.trouble()).toBeNull()
  })

  test('of which it takes a part are counted, and its reason told', async () => {
    const receiver = await way.receiver()
    receiver.say = () => way.partly
    const { add, counters, said } = await sendTo(way.collector(receiver.port))
    await add('a', 'a1', 'a2')
    await expect.poll(() => counters.exported).toBe(1)
    expect(counters.dropped.collector_refused).toBe(1)
    expect(said[0]).toMatch(/did not take 1 spans: x/)
  })

  test('are sent once more at the end', async () => {
    const receiver = await way.receiver()
    const { add, part } = await sendTo(way.collector(receiver.port))
    await add('a', 'a1')
    await part.stop()
    expect(receiver.names).toEqual(['a1'])
  })

  test('stay in the queue at the end where it takes none', async () => {
    const receiver = await way.receiver()
    receiver.say = () => way.again()
    const { add, part, queue } = await sendTo(way.collector(receiver.port))
    await add('a', 'a1')
    await expect.poll(() => receiver.requests.length).toBeGreaterThan(0)
    await part.stop()
    expect(queue.state().spans).toBe(1)
  })
})

test('a collector that is not there is a trouble that has a name', async () => {
  for (const way of ways) {
    const { add, part } = await sendTo(way.collector(1))
    await add('a', 'a1')
    await expect.poll(() => part.trouble()).toMatch(/ECONNREFUSED/)
  }
})

test('a collector that takes a connection and never answers is given up in time', async () => {
  const silent = createServer(socket => socket.on('error', () => {}).resume())
  await new Promise<void>(done => silent.listen(0, '127.0.0.1', done))
  onTestFinished(() => void silent.close())
  const { port } = silent.address() as AddressInfo
  const collectors = [
    grpcCollector({ target: target('grpc', port), tls, timeoutMs: 100 }),
    httpCollector({ target: target('http', port), tls, timeoutMs: 100 }),
  ]
  for (const collector of collectors) {
    expect(await collector.send(requestOf('a', [spanOf()]))).toMatchObject({ kind: 'again' })
    collector.close()
  }
})
