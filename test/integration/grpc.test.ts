import { readFileSync } from 'node:fs'
import {
  Client,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readReport } from '../../proxy/balancer/orca.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import { freePort } from './support/ports.ts'
import { get, type RunningProxy, startProxy } from './support/proxy.ts'
import { until } from './support/until.ts'

/**
 * gRPC of grpc-js at both ends, through an outbound sidecar and the inbound one of the instance. Messages are bytes:
 * what is in them is nobody's business here.
 */

const raw = (bytes: Buffer) => bytes
const method = (path: string, streams = false) => ({
  path,
  requestStream: streams,
  responseStream: streams,
  requestSerialize: raw,
  requestDeserialize: raw,
  responseSerialize: raw,
  responseDeserialize: raw,
})
const MIB = 2 ** 20
const options = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 }

let server: Server
/** What calls came to, and the deadlines they had. */
const cancelled: string[] = []
const deadlines: number[] = []
let appPort: number
let port: number
let directPort: number
let inbound: RunningProxy
let outbound: RunningProxy
let client: Client

beforeAll(async () => {
  server = new Server(options)
  server.addService(
    { Check: method('/grpc.health.v1.Health/Check') },
    // { status: SERVING }
    {
      Check: (_call: unknown, answer: (error: null, value: Buffer) => void) => answer(null, Buffer.from([0x08, 0x01])),
    },
  )
  server.addService(
    {
      Echo: method('/test.Calls/Echo'),
      Fail: method('/test.Calls/Fail'),
      Hang: method('/test.Calls/Hang'),
      Stream: method('/test.Calls/Stream', true),
    },
    {
      Echo: (
        call: ServerUnaryCall<Buffer, Buffer>,
        answer: (error: null, value: Buffer, trailer: Metadata) => void,
      ) => {
        const trailer = new Metadata()
        trailer.set('x-sum', String(call.request.length))
        answer(null, call.request, trailer)
      },
      Fail: (_call: unknown, answer: (error: object) => void) =>
        answer({ code: status.NOT_FOUND, details: 'no such thing ☺' }),
      Hang: (call: { on(event: 'cancelled', run: () => void): void; getDeadline(): Date | number }) => {
        deadlines.push(Number(call.getDeadline()) - Date.now())
        call.on('cancelled', () => cancelled.push('Hang'))
      },
      Stream(call: ServerDuplexStream<Buffer, Buffer>) {
        call.on('data', (message: Buffer) => call.write(message))
        call.on('end', () => call.end())
        call.on('cancelled', () => cancelled.push('Stream'))
      },
    },
  )
  appPort = await listen(server, 0)
  const inPort = await freePort()
  ;[port, directPort] = [await freePort(), await freePort()]
  inbound = await startProxy({
    service: 'calls',
    inbound: [{ listen: `127.0.0.1:${inPort}`, forward: `127.0.0.1:${appPort}`, application: { protocol: 'grpc' } }],
  })
  outbound = await startProxy({
    outbound: [
      { listen: `127.0.0.1:${port}`, service: 'calls' },
      { listen: `127.0.0.1:${directPort}`, service: 'direct' },
    ],
    discovery: { endpoints: { calls: [`127.0.0.1:${inPort}`], direct: [`127.0.0.1:${appPort}`] } },
    // A busy machine may take a while for 100 MiB.
    services: { calls: { protocol: 'grpc', timeouts: { request: '2m' } }, direct: { protocol: 'grpc' } },
    accessLog: { mode: 'on', format: 'json' },
  })
  client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), options)
})
afterAll(async () => {
  client.close()
  await outbound.stop()
  await inbound.stop()
  server.forceShutdown()
})

function listen(of: Server, on: number): Promise<number> {
  return new Promise((done, failed) =>
    of.bindAsync(`127.0.0.1:${on}`, ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? done(bound) : failed(error),
    ),
  )
}

interface Got {
  readonly error: ServiceError | null
  readonly body: Buffer
  readonly trailers: Metadata | null
}

function call(path: string, body: Buffer = Buffer.alloc(0), deadlineMs = 120_000): Promise<Got> {
  return new Promise(done => {
    let trailers: Metadata | null = null
    const sent = client.makeUnaryRequest(
      path,
      raw,
      raw,
      body,
      new Metadata(),
      { deadline: Date.now() + deadlineMs },
      (error, answer) => setImmediate(() => done({ error, body: answer ?? Buffer.alloc(0), trailers })),
    )
    sent.on('status', ({ metadata }) => {
      trailers = metadata
    })
  })
}

test('health checks pass as any call does', async () => {
  expect(await call('/grpc.health.v1.Health/Check')).toMatchObject({ error: null, body: Buffer.from([0x08, 0x01]) })
})

test('trailers come back, statuses and messages too, and are in the log of both sidecars', async () => {
  const echoed = await call('/test.Calls/Echo', Buffer.from('hello'))
  expect([echoed.body.toString(), echoed.trailers?.get('x-sum')]).toEqual(['hello', ['5']])
  const failed = await call('/test.Calls/Fail')
  expect(failed.error).toMatchObject({ code: status.NOT_FOUND, details: 'no such thing ☺' })
  await until('the log line', () => /"grpc_status":5,"grpc_message":"no such thing ☺"/.test(outbound.out()))
  await until(
    'the metrics',
    async () =>
      (await inbound.metrics()).value('grpc_requests_total', { direction: 'inbound', grpc_status: '5' }) === 1,
  )
})

test('a load report of grpc-js is one that is read here: in trailers, in binary', async () => {
  // A server of its own: recording costs it milliseconds a call.
  const reporting = new Server({ 'grpc.server_call_metric_recording': 1 })
  reporting.addService(
    { Report: method('/test.Loads/Report') },
    {
      Report(call: ServerUnaryCall<Buffer, Buffer>, answer: (error: null, value: Buffer) => void) {
        call.getMetricsRecorder().recordQpsMetric(120)
        call.getMetricsRecorder().recordCPUUtilizationMetric(0.25)
        answer(null, call.request)
      },
    },
  )
  const reportPort = await freePort()
  await listen(reporting, reportPort)
  const trailers = await new Promise<Metadata>(done => {
    const own = new Client(`127.0.0.1:${reportPort}`, credentials.createInsecure())
    own
      .makeUnaryRequest('/test.Loads/Report', raw, raw, Buffer.from('x'), () => own.close())
      .on('status', ({ metadata }) => {
        done(metadata)
      })
  })
  reporting.forceShutdown()
  const [report] = trailers.get('endpoint-load-metrics-bin') as Buffer[]
  expect(readReport(new HeaderList(['endpoint-load-metrics-bin', report!.toString('base64')]))).toMatchObject({
    qps: 120,
    cpuUtilization: 0.25,
  })
})

test('a deadline: the caller is told, the server is, and both sidecars have it on record', async () => {
  const began = cancelled.length
  // Not as an option of the call: else the clock of grpc-js would be one more that may be first.
  const metadata = new Metadata()
  metadata.set('grpc-timeout', '300m')
  const error = await new Promise<ServiceError | null>(done =>
    client.makeUnaryRequest('/test.Calls/Hang', raw, raw, Buffer.alloc(0), metadata, done),
  )
  expect(error?.code).toBe(status.DEADLINE_EXCEEDED)
  // Three clocks run, and the server's own may be first: then it is the server that answers.
  expect([['UT'], []]).toContainEqual(error?.metadata.get('x-outrigger-flag'))
  await until('the server hears of it', () => cancelled.length > began)
  expect(deadlines.at(-1)).toBeLessThanOrEqual(300)
  const recordOf = async (proxy: RunningProxy) =>
    (await proxy.flights()).find(({ path }) => path === '/test.Calls/Hang')
  await until('the record', async () => (await recordOf(outbound))?.grpcStatus === status.DEADLINE_EXCEEDED)
  // Whose clock is first of the two is chance: the other one may only hear that it is over.
  const inner = await until('the other record', () => recordOf(inbound))
  expect([status.DEADLINE_EXCEEDED, status.CANCELLED]).toContain(inner.grpcStatus)
  expect([(await recordOf(outbound))?.deadlineMs, inner.deadlineMs]).toEqual([300, expect.any(Number)])
})

test('cancel: a stream of the caller ends at the server at once', async () => {
  const began = cancelled.length
  const stream = client.makeBidiStreamRequest('/test.Calls/Stream', raw, raw, new Metadata())
  stream.on('error', () => {})
  const first = new Promise<Buffer>(done => stream.once('data', done))
  stream.write(Buffer.from('ping'))
  expect((await first).toString()).toBe('ping')
  stream.cancel()
  await until('the server hears of it', () => cancelled.length > began)
  await until('nothing runs', async () => (await outbound.metrics()).value('outrigger_upstream_requests_active') === 0)
})

test('messages of 100 MiB stream through both ways, and are held nowhere', async () => {
  // The highest that the resident memory of each process ever was, in MiB.
  const peaks = () =>
    [outbound, inbound].map(
      ({ pid }) => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))![1]) / 1024,
    )
  // Buffers of pools and the heap have their size by then.
  await call('/test.Calls/Echo', Buffer.alloc(4 * MIB))
  const before = peaks()
  const large = Buffer.alloc(100 * MIB, 'outrigger ')
  const { error, body } = await call('/test.Calls/Echo', large)
  expect(error).toBeNull()
  expect(body.equals(large)).toBe(true)
  const grown = peaks().map((peak, i) => peak - before[i]!)
  expect(Math.max(...grown)).toBeLessThan(48)
}, 150_000)

test('a server that says GOAWAY again and again, under load: what it had not looked at goes elsewhere, with its message', async () => {
  const direct = new Client(`127.0.0.1:${directPort}`, credentials.createInsecure(), options)
  const errors: string[] = []
  let answered = 0
  let running = true
  const calls = Array.from({ length: 16 }, async (_, i) => {
    const message = Buffer.alloc(100, String(i))
    while (running) {
      await new Promise<void>(done =>
        direct.makeUnaryRequest('/test.Calls/Echo', raw, raw, message, (error, answer) => {
          if (error === null && answer?.equals(message)) answered++
          else errors.push(error?.message ?? 'another message')
          done()
        }),
      )
    }
  })
  for (let i = 0; i < 20; i++) {
    const before = answered
    await until('that load is on', () => answered > before + 50)
    server.drain(`127.0.0.1:${appPort}`, 10_000)
  }
  running = false
  await Promise.all(calls)
  direct.close()
  expect(errors).toEqual([])
  expect(answered).toBeGreaterThan(1000)
})

describe('gRPC-Web, by fetch', () => {
  const frame = (message: string) => Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), Buffer.from(message)])
  const decode = (text: string) =>
    Buffer.concat((text.match(/[^=]+=*/g) ?? []).map(part => Buffer.from(part, 'base64')))

  /** Messages and trailers, as a client in a browser reads them. */
  function read(body: Buffer): { messages: string[]; trailers: string } {
    const messages: string[] = []
    let trailers = ''
    for (let at = 0; at < body.length; ) {
      const end = at + 5 + body.readUInt32BE(at + 1)
      if ((body[at]! & 0x80) === 0) messages.push(body.toString('latin1', at + 5, end))
      else trailers = body.toString('latin1', at + 5, end)
      at = end
    }
    return { messages, trailers }
  }

  test.each([
    ['two sidecars', () => port],
    ['one', () => directPort],
  ])('binary and text, through %s', async (_name, to) => {
    for (const type of ['application/grpc-web+proto', 'application/grpc-web-text']) {
      const isText = type.endsWith('text')
      const sent = Buffer.concat([frame('hello'), frame('gRPC-Web')])
      const answer = await fetch(`http://127.0.0.1:${to()}/test.Calls/Stream`, {
        method: 'POST',
        headers: { 'content-type': type, accept: type, 'x-grpc-web': '1' },
        body: isText ? frame('hello').toString('base64') + frame('gRPC-Web').toString('base64') : sent,
      })
      expect(answer.headers.get('content-type')).toMatch(
        isText ? 'application/grpc-web-text' : 'application/grpc-web+proto',
      )
      const body = Buffer.from(await answer.arrayBuffer())
      expect(read(isText ? decode(body.toString()) : body)).toEqual({
        messages: ['hello', 'gRPC-Web'],
        trailers: expect.stringContaining('grpc-status: 0\r\n'),
      })
    }
  })

  test('a status without a message, and a service that is not there', async () => {
    for (const [path, expected] of [
      ['Fail', '5'],
      ['Nothing', '12'],
    ]) {
      const answer = await fetch(`http://127.0.0.1:${port}/test.Calls/${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/grpc-web' },
        body: frame('x'),
      })
      const { trailers } = read(Buffer.from(await answer.arrayBuffer()))
      expect(answer.headers.get('grpc-status') ?? /grpc-status: (\d+)/.exec(trailers)?.[1]).toBe(expected)
    }
  })
})

test('gRPC over HTTP/1.1 is told what to speak', async () => {
  const { status: code, body } = await get(port, '/test.Calls/Echo', {
    method: 'POST',
    headers: { 'content-type': 'application/grpc' },
    body: 'x',
  })
  expect([code, JSON.parse(body)]).toEqual([505, expect.objectContaining({ failure: 'grpc-needs-http2' })])
})
