import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import { afterEach, describe, expect, test } from 'vitest'
import type { AgentLink } from '../../proxy/core/agent-link.ts'
import { systemClock } from '../../proxy/system/clock.ts'
import { type HttpExport, sendByHttp, sendToAgent } from '../../proxy/telemetry/span-senders.ts'
import type { Sent } from '../../proxy/telemetry/span-sink.ts'
import { partialSuccess } from '../support/otlp.ts'

let server: Server | null = null
afterEach(() => {
  server?.closeAllConnections()
  server?.close()
  server = null
})

interface Got {
  readonly request: IncomingMessage
  readonly body: Buffer
}

async function collector(answer: (response: ServerResponse, got: Got) => void): Promise<{ url: string; got: Got[] }> {
  const got: Got[] = []
  const started = createServer(async (request, response) => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    const each = { request, body: Buffer.concat(parts) }
    got.push(each)
    answer(response, each)
  })
  server = started
  await new Promise<void>(resolve => started.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(started.address() as AddressInfo).port}/v1/traces`, got }
}

function send(url: string, options: Partial<HttpExport> = {}, body = 'spans'): Promise<Sent> {
  const sender = sendByHttp({ url, secretHeaders: [], gzip: false, timeoutMs: 30_000, ...options }, systemClock)
  return new Promise(resolve => sender(Buffer.from(body), resolve))
}

describe('straight to a collector', () => {
  test('a batch, with the fields of the configuration', async () => {
    const { url, got } = await collector(response => response.end())
    expect(await send(url, { secretHeaders: ['X-Key', 'k'] })).toEqual({ kind: 'taken', rejected: 0, why: '' })
    const [{ request, body }] = got as [Got]
    expect(request).toMatchObject({ method: 'POST', url: '/v1/traces' })
    expect(request.headers).toMatchObject({ 'content-type': 'application/x-protobuf', 'x-key': 'k' })
    expect(String(body)).toBe('spans')
  })

  test('compressed', async () => {
    const { url, got } = await collector(response => response.end())
    await send(url, { gzip: true }, 'x'.repeat(9999))
    const [{ request, body }] = got as [Got]
    expect(request.headers['content-encoding']).toBe('gzip')
    expect(String(gunzipSync(body))).toBe('x'.repeat(9999))
  })

  test('on one connection, kept', async () => {
    const ports = new Set<number | undefined>()
    const { url } = await collector((response, { request }) => {
      ports.add(request.socket.remotePort)
      response.end()
    })
    const sender = sendByHttp({ url, secretHeaders: [], gzip: false, timeoutMs: 30_000 }, systemClock)
    for (let i = 0; i < 3; i++) await new Promise(resolve => sender(Buffer.from('spans'), resolve))
    expect(ports.size).toBe(1)
  })

  test('that rejects some of it', async () => {
    const { url } = await collector(response => response.end(partialSuccess(3, 'too old')))
    expect(await send(url)).toEqual({ kind: 'taken', rejected: 3, why: 'too old' })
  })

  test('whose answer is no OTLP', async () => {
    const { url } = await collector(response => response.end('<html>'))
    expect(await send(url)).toEqual({ kind: 'taken', rejected: 0, why: '' })
  })

  test.each([429, 502, 503, 504])('that answers %i: again', async status => {
    const { url } = await collector(response => response.writeHead(status).end())
    expect(await send(url)).toEqual({ kind: 'again', afterMs: null, why: `status ${status}` })
  })

  test('and says when: in seconds, or at a time', async () => {
    let after = '7'
    const { url } = await collector(response => response.writeHead(503, { 'retry-after': after }).end())
    expect(await send(url)).toMatchObject({ afterMs: 7000 })
    after = new Date(Date.now() + 60_000).toUTCString()
    const { afterMs } = (await send(url)) as Extract<Sent, { kind: 'again' }>
    expect(afterMs).toBeGreaterThan(30_000)
    expect(afterMs).toBeLessThanOrEqual(60_000)
    after = 'soon'
    expect(await send(url)).toMatchObject({ afterMs: null })
  })

  test.each([301, 400, 401, 404, 413, 500])('that answers %i: no', async status => {
    const { url, got } = await collector(response => response.writeHead(status, { location: '/other' }).end())
    expect(await send(url)).toEqual({ kind: 'refused', why: `status ${status}` })
    expect(got).toHaveLength(1)
  })

  test('that is not there, breaks off, or hangs: again', async () => {
    const { url } = await collector((response, { request }) => {
      if (request.headers['x-key'] === 'cut') {
        response.writeHead(200, { 'content-length': 10 }).write('x')
        response.destroy()
      }
    })
    expect(await send(url, { timeoutMs: 20 })).toMatchObject({ kind: 'again', why: 'no answer within 20 ms' })
    expect(await send(url, { secretHeaders: ['x-key', 'cut'] })).toMatchObject({ kind: 'again' })
    const { port } = new URL(url)
    server!.closeAllConnections()
    await new Promise(resolve => server!.close(resolve))
    expect(await send(`http://127.0.0.1:${port}/v1/traces`)).toMatchObject({ kind: 'again', why: /ECONNREFUSED/ })
  })

  test('whose answer never ends is not read on', async () => {
    const { url } = await collector(response => {
      response.write(Buffer.alloc(1024 * 1024))
    })
    expect(await send(url, { timeoutMs: 200 })).toMatchObject({ kind: 'again' })
  })
})

describe('to the agent', () => {
  const link = (grpcStatus: number | null): AgentLink => ({
    state: 'connected',
    call(path, message, done) {
      expect(path).toBe('/opentelemetry.proto.collector.trace.v1.TraceService/Export')
      expect(String(message)).toBe('spans')
      if (grpcStatus === null) return false
      done(grpcStatus)
      return true
    },
  })

  test.each([
    [0, { kind: 'taken', rejected: 0, why: '' }],
    [14, { kind: 'again', afterMs: null, why: 'the agent answers 14' }],
    [8, { kind: 'again', afterMs: null, why: 'the agent answers 8' }],
    [3, { kind: 'refused', why: 'the agent answers 3' }],
    [12, { kind: 'refused', why: 'the agent answers 12' }],
    [null, { kind: 'again', afterMs: null, why: 'there is no agent now' }],
  ])('status %j', (status, sent) => {
    const seen: Sent[] = []
    sendToAgent(() => link(status))(Buffer.from('spans'), each => seen.push(each))
    expect(seen).toEqual([sent])
  })

  test('where there is none', () => {
    const seen: Sent[] = []
    sendToAgent(() => null)(Buffer.from('spans'), each => seen.push(each))
    expect(seen).toMatchObject([{ kind: 'again' }])
  })
})
