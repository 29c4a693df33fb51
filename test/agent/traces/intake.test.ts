import { request } from 'node:http'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js'
import { describe, expect, onTestFinished, test } from 'vitest'
import { newCounters } from '../../../agent/traces/counters.ts'
import { type DiskQueue, diskQueue } from '../../../agent/traces/disk-queue.ts'
import { enricher } from '../../../agent/traces/enrich.ts'
import { listenGrpc, MAX_REQUEST_BYTES } from '../../../agent/traces/grpc-in.ts'
import { listenHttp } from '../../../agent/traces/http-in.ts'
import { type Intake, intake } from '../../../agent/traces/intake.ts'
import { keeper } from '../../../agent/traces/sampling.ts'
import { decodeAnswer, namesIn, requestOf, spanOf } from './support/otlp.ts'

const PATH = '/opentelemetry.proto.collector.trace.v1.TraceService/Export'
const asItIs = (bytes: Buffer) => bytes

async function open({ queued = true } = {}) {
  const counters = newCounters()
  const queue = queued ? await diskQueue({ folder: null, maxBytes: 64 * 1024 ** 2, say: () => {} }) : null
  const keep = keeper({ share: 1, perSecond: 0, now: () => 0 })
  const receive: Intake = intake({ counters, queue, keep, enrich: enricher(() => new Map()) })
  const http = await listenHttp({ host: '127.0.0.1', port: 0, receive, counters })
  const grpc = await listenGrpc('127.0.0.1:0', receive)
  onTestFinished(async () => {
    http.stop()
    grpc.stop()
    await queue?.close()
  })
  return { counters, queue: queue!, http: http.port, grpc: grpc.port }
}

async function names(queue: DiskQueue): Promise<string[]> {
  const batch = await queue.peek(64 * 1024 ** 2, 1_000_000)
  return batch?.pieces.flatMap(({ bytes }) => namesIn(bytes)) ?? []
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: Buffer
  readonly retryAfter: string | undefined
}

const PROTOBUF = { 'content-type': 'application/x-protobuf' }
const JSON_TYPE = { 'content-type': 'application/json; charset=utf-8' }

function post(
  port: number,
  body: Buffer,
  headers: Record<string, string> = PROTOBUF,
  path = '/v1/traces',
  method = 'POST',
) {
  return new Promise<Answer>((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, method, headers }, response => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('end', () =>
        resolve({
          status: response.statusCode!,
          type: response.headers['content-type']!,
          body: Buffer.concat(parts),
          retryAfter: response.headers['retry-after'],
        }),
      )
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

function call(port: number, body: Buffer, gzip = false): Promise<Buffer> {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), {
    'grpc.max_send_message_length': -1,
    ...(gzip && { 'grpc.default_compression_algorithm': 2 }),
  })
  onTestFinished(() => client.close())
  return new Promise((resolve, reject) =>
    client.makeUnaryRequest(PATH, asItIs, asItIs, body, (error, answer) =>
      error === null ? resolve(answer!) : reject(error),
    ),
  )
}

describe('OTLP over HTTP', () => {
  test('takes protobuf and JSON, plain and gzipped', async () => {
    const { http, queue, counters } = await open()
    const json = (name: string) =>
      Buffer.from(
        JSON.stringify({
          resourceSpans: [{ scopeSpans: [{ spans: [{ name, traceId: '1'.repeat(32), spanId: '2'.repeat(16) }] }] }],
        }),
      )
    const answers = [
      await post(http, requestOf('a', [spanOf({ name: 'protobuf' })])),
      await post(http, gzipSync(requestOf('a', [spanOf({ name: 'zipped' })])), {
        ...PROTOBUF,
        'content-encoding': 'gzip',
      }),
      await post(http, json('json'), JSON_TYPE),
      await post(http, gzipSync(json('zipped json')), { ...JSON_TYPE, 'content-encoding': 'gzip' }),
    ]
    expect(answers.map(({ status, type, body }) => [status, type, body.toString()])).toEqual([
      [200, 'application/x-protobuf', ''],
      [200, 'application/x-protobuf', ''],
      [200, 'application/json', '{}'],
      [200, 'application/json', '{}'],
    ])
    expect(await names(queue)).toEqual(['protobuf', 'zipped', 'json', 'zipped json'])
    expect(counters.received.http).toBe(4)
  })

  test('says which spans it did not take', async () => {
    const { http, queue } = await open()
    const { status, body } = await post(
      http,
      requestOf('a', [spanOf({ name: 'good' }), spanOf({ spanId: Buffer.of(1) })]),
    )
    expect(status).toBe(200)
    expect(decodeAnswer(body).partialSuccess).toMatchObject({
      rejectedSpans: '1',
      errorMessage: '1 of 2 spans are not taken, the first because its span id is not 8 bytes, or 0',
    })
    expect(await names(queue)).toEqual(['good'])
  })

  const spans = requestOf('a', [spanOf()])
  const refused: [
    string,
    () => Parameters<typeof post> extends [number, ...infer Rest] ? Rest : never,
    number,
    RegExp,
  ][] = [
    ['garbage', () => [Buffer.from('garbage')], 400, /this is no ExportTraceServiceRequest: /],
    ['broken JSON', () => [Buffer.from('{'), JSON_TYPE], 400, /it is not JSON/],
    ['broken gzip', () => [spans, { ...PROTOBUF, 'content-encoding': 'gzip' }], 400, /its gzip is broken/],
    [
      'a gzip bomb',
      () => [gzipSync(Buffer.alloc(2 * MAX_REQUEST_BYTES)), { ...PROTOBUF, 'content-encoding': 'gzip' }],
      400,
      /at most 16 MiB/,
    ],
    [
      'millions of resources',
      () => [Buffer.concat(Array(150_000).fill(Buffer.of(0x0a, 0)))],
      400,
      /more than 100000 spans, scopes and resources/,
    ],
    [
      'millions of objects',
      () => [Buffer.from(`{"resourceSpans":[${Array(600_000).fill('{}').join()}]}`), JSON_TYPE],
      400,
      /more than 500000 objects/,
    ],
    ['another encoding', () => [spans, { ...PROTOBUF, 'content-encoding': 'br' }], 415, /there is gzip/],
    ['another type', () => [spans, { 'content-type': 'text/plain' }], 415, /content-type of OTLP/],
    ['no type', () => [spans, {}], 415, /content-type of OTLP/],
    ['metrics', () => [spans, PROTOBUF, '/v1/metrics'], 404, /traces only: set OTEL_METRICS_EXPORTER=none/],
    ['another path', () => [spans, PROTOBUF, '/'], 404, /there is \/v1\/traces/],
    ['a GET', () => [Buffer.alloc(0), PROTOBUF, '/v1/traces', 'GET'], 405, /by POST/],
    ['too much', () => [Buffer.alloc(MAX_REQUEST_BYTES + 1)], 413, /at most 16 MiB/],
  ]
  test.each(refused)('refuses %s, and says why in its own encoding', async (_what, given, status, message) => {
    const { http, queue } = await open()
    // A sender that is told 413 before it has sent all may see its connection close instead.
    const answer = await post(http, ...given()).catch((error: NodeJS.ErrnoException) => error)
    if (answer instanceof Error) expect([status, answer.code]).toEqual([413, expect.stringMatching(/EPIPE|ECONNRESET/)])
    else {
      expect(answer.status).toBe(status)
      expect(answer.body.toString()).toMatch(message)
    }
    expect(await names(queue)).toEqual([])
  })

  test('a body of unknown length is read no further than it may be', async () => {
    const { http, counters } = await open()
    const socket = connect(http, '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    let answer = ''
    socket.on('data', (text: Buffer) => {
      answer += text
    })
    socket.on('error', () => {})
    socket.write(
      'POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\ntransfer-encoding: chunked\r\n\r\n',
    )
    const chunk = Buffer.concat([Buffer.from('100000\r\n'), Buffer.alloc(0x100000), Buffer.from('\r\n')])
    for (let index = 0; index < 17; index++) socket.write(chunk)
    await expect.poll(() => answer).toMatch(/^HTTP\/1.1 413 /)
    expect(counters.refusedRequests.too_large).toBe(1)
  })

  test('many bodies that unpack to much are unpacked a few at a time', async () => {
    let now = 0
    let most = 0
    const receive: Intake = async request => {
      now++
      most = Math.max(most, now)
      await new Promise(resolve => setTimeout(resolve, 5))
      now--
      return request.length === 1 << 20 ? { outcome: 'taken', rejected: 0, message: '' } : { outcome: 'busy' }
    }
    const { port, stop } = await listenHttp({ host: '127.0.0.1', port: 0, receive, counters: newCounters() })
    onTestFinished(stop)
    const bomb = gzipSync(Buffer.alloc(1 << 20))
    const zipped = { ...PROTOBUF, 'content-encoding': 'gzip' }
    const answers = await Promise.all(Array.from({ length: 40 }, () => post(port, bomb, zipped)))
    expect(answers.every(answer => answer.status === 200)).toBe(true)
    expect(most).toBe(4)
  })

  test('many large bodies at once do not fill the memory, and others are taken afterwards', async () => {
    const { http, counters, queue } = await open()
    const sockets = Array.from({ length: 8 }, () => connect(http, '127.0.0.1'))
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy()
    })
    let busy = 0
    for (const socket of sockets) {
      socket.on('error', () => {})
      socket.on('data', (text: Buffer) => {
        if (text.toString().startsWith('HTTP/1.1 503')) busy++
      })
      // None of them ends.
      socket.write(
        `POST /v1/traces HTTP/1.1\r\nhost: a\r\ncontent-type: application/x-protobuf\r\ncontent-length: ${MAX_REQUEST_BYTES}\r\n\r\n`,
      )
      socket.write(Buffer.alloc(MAX_REQUEST_BYTES - 1))
    }
    await expect.poll(() => busy).toBeGreaterThanOrEqual(4)
    expect(counters.refusedRequests.busy).toBeGreaterThanOrEqual(4)
    for (const socket of sockets) socket.destroy()
    await expect.poll(async () => (await post(http, requestOf('a', [spanOf({ name: 'later' })]))).status).toBe(200)
    expect(await names(queue)).toContain('later')
  })
})

describe('OTLP over gRPC', () => {
  test('takes spans, plain and gzipped, and says which it did not take', async () => {
    const { grpc, queue, counters } = await open()
    expect((await call(grpc, requestOf('a', [spanOf({ name: 'plain' })]))).length).toBe(0)
    await call(grpc, requestOf('a', [spanOf({ name: 'zipped' })]), true)
    const answer = await call(grpc, requestOf('a', [spanOf({ traceId: Buffer.of(1) })]))
    expect(decodeAnswer(answer).partialSuccess).toMatchObject({ rejectedSpans: '1' })
    expect(await names(queue)).toEqual(['plain', 'zipped'])
    expect(counters.received.grpc).toBe(3)
  })

  test('refuses what is none, and what is too large even where it came small', async () => {
    const { grpc } = await open()
    await expect(call(grpc, Buffer.from('garbage'))).rejects.toMatchObject({ code: status.INVALID_ARGUMENT })
    const bomb = call(grpc, Buffer.alloc(2 * MAX_REQUEST_BYTES), true)
    await expect(bomb).rejects.toMatchObject({ code: status.RESOURCE_EXHAUSTED })
  })

  test('asks to come again while too much waits for the disk', async () => {
    const counters = newCounters()
    const receive: Intake = () => Promise.resolve({ outcome: 'busy' })
    const { port, stop } = await listenGrpc('127.0.0.1:0', receive)
    onTestFinished(stop)
    const error: ServiceError = await call(port, requestOf('a', [spanOf()])).then(
      () => null as never,
      (reason: ServiceError) => reason,
    )
    expect(error.code).toBe(status.UNAVAILABLE)
    expect(error.metadata.get('grpc-status-details-bin')[0]!.toString()).toContain('google.rpc.RetryInfo')
    const http = await listenHttp({ host: '127.0.0.1', port: 0, receive, counters })
    onTestFinished(http.stop)
    expect(await post(http.port, requestOf('a', [spanOf()]))).toMatchObject({ status: 503, retryAfter: '1' })
  })
})

test('an agent that exports nothing says so, and takes nothing', async () => {
  const { http, counters } = await open({ queued: false })
  const { status, body } = await post(http, requestOf('a', [spanOf(), spanOf()]))
  expect(status).toBe(200)
  expect(decodeAnswer(body).partialSuccess).toMatchObject({
    rejectedSpans: '2',
    errorMessage: expect.stringContaining('set OTEL_EXPORTER_OTLP_ENDPOINT'),
  })
  expect(counters.dropped.no_export).toBe(2)
})
