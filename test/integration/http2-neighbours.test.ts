import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  createServer,
  type Http2Server,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo } from 'node:net'
import {
  Client,
  type ClientDuplexStream,
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
import { freePort } from './support/ports.ts'
import { get, type RunningProxy, startProxy } from './support/proxy.ts'
import { until } from './support/until.ts'

/**
 * Other people's HTTP/2 at both ends, with streams that stand still or are given up on the connections that others use.
 */

const MIB = 2 ** 20
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
const options = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 }
/** What Node lets a session keep of its own writes, in MB; beyond it, it refuses streams. */
const sessionOptions = { maxSessionMemory: 1000 }
const message = Buffer.alloc(MIB, 'outrigger ')

let grpcServer: Server
let server: Http2Server
let outbound: RunningProxy
let inbound: RunningProxy
let grpcPort: number
let port: number

beforeAll(async () => {
  grpcServer = new Server(options)
  grpcServer.addService(
    {
      Echo: method('/test.Calls/Echo'),
      Pour: method('/test.Calls/Pour', true),
      Sink: method('/test.Calls/Sink', true),
    },
    {
      Echo: (call: ServerUnaryCall<Buffer, Buffer>, answer: (error: null, value: Buffer) => void) =>
        answer(null, call.request),
      Pour(call: ServerDuplexStream<Buffer, Buffer>) {
        const more = () => {
          while (!call.cancelled && call.write(message));
        }
        call.on('drain', more)
        call.on('error', () => {})
        more()
      },
      /** Reads nothing. */
      Sink(call: ServerDuplexStream<Buffer, Buffer>) {
        call.on('error', () => {})
      },
    },
  )
  const appPort = await new Promise<number>((done, failed) =>
    grpcServer.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? done(bound) : failed(error),
    ),
  )
  server = createServer(sessionOptions)
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => {})
    if (headers[':path'] === '/sink') return
    stream.respond({ ':status': 200 })
    if (headers[':path'] === '/small') return stream.end('ok')
    if (headers[':path'] === '/count') {
      let count = 0
      stream.on('data', (chunk: Buffer) => {
        count += chunk.length
      })
      stream.on('end', () => stream.end(String(count)))
      return
    }
    for (let i = 0; i < 8; i++) stream.write(message)
    stream.end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const inPort = await freePort()
  ;[grpcPort, port] = [await freePort(), await freePort()]
  inbound = await startProxy({
    service: 'calls',
    inbound: [{ listen: `127.0.0.1:${inPort}`, forward: `127.0.0.1:${appPort}`, application: { protocol: 'grpc' } }],
  })
  outbound = await startProxy({
    outbound: [
      { listen: `127.0.0.1:${grpcPort}`, service: 'calls' },
      { listen: `127.0.0.1:${port}`, service: 'plain' },
    ],
    discovery: {
      endpoints: { calls: [`127.0.0.1:${inPort}`], plain: [`127.0.0.1:${(server.address() as AddressInfo).port}`] },
    },
    services: {
      calls: { protocol: 'grpc', timeouts: { request: '2m' } },
      plain: { protocol: 'http2', timeouts: { request: '2m' }, limits: { connections: 1 } },
    },
  })
})
afterAll(async () => {
  await outbound.stop()
  await inbound.stop()
  grpcServer.forceShutdown()
  server.close()
})

/** What the sidecar holds; its gauge is a second old at most. */
const held = async (proxy: RunningProxy) => (await proxy.metrics()).value('outrigger_data_thread_buffered_bytes')

/** Until the streams that stand still have filled what they may. */
async function filled(proxy: RunningProxy, least: number): Promise<void> {
  let before = -1
  await until('all has come that may', async () => {
    const now = await held(proxy)
    const isStill = now >= least && now === before
    before = now
    return isStill
  })
}

function ask(session: ClientHttp2Session, path: string, verb = 'GET'): ClientHttp2Stream {
  const stream = session.request({ ':path': path, ':method': verb }, { endStream: verb === 'GET' })
  stream.on('error', () => {})
  return stream
}

function whole(stream: ClientHttp2Stream): Promise<number> {
  return new Promise((resolve, reject) => {
    let bytes = 0
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length
    })
    stream.on('end', () => resolve(bytes))
    stream.on('error', reject)
  })
}

describe('node:http2, one connection to the endpoint', () => {
  test('downloads that are cancelled with bytes held: the next answers come whole', async () => {
    for (let round = 0; round < 3; round++) {
      const session = connect(`http://127.0.0.1:${port}`, sessionOptions)
      const slow = Array.from({ length: 6 }, () => ask(session, '/large').pause())
      await filled(outbound, MIB)
      for (const stream of slow) stream.close()
      await until(
        'they are over',
        async () => (await outbound.metrics()).value('outrigger_upstream_requests_active', { service: 'plain' }) === 0,
      )
      expect((await get(port, '/small')).body).toBe('ok')
      expect((await get(port, '/large')).body.length).toBe(8 * MIB)
      session.destroy()
    }
    await until('nothing is held', async () => (await held(outbound)) === 0)
  })

  test('downloads and uploads that stand still: others have all of their bytes', async () => {
    const session = connect(`http://127.0.0.1:${port}`, sessionOptions)
    const slow = Array.from({ length: 12 }, () => ask(session, '/large').pause())
    const uploads = Array.from({ length: 12 }, () => {
      const upload = ask(session, '/sink', 'POST')
      upload.write(message)
      return upload
    })
    await filled(outbound, 4 * MIB)
    expect((await get(port, '/large')).body.length).toBe(8 * MIB)
    expect((await get(port, '/count', { method: 'POST', body: Buffer.alloc(8 * MIB) })).body).toBe(String(8 * MIB))
    // On the connection of the very caller, too.
    expect(await whole(ask(session, '/large'))).toBe(8 * MIB)
    for (const stream of slow) stream.resume()
    expect(await Promise.all(slow.map(whole))).toEqual(Array(12).fill(8 * MIB))
    for (const upload of uploads) upload.close()
    session.close()
    await until('nothing is held', async () => (await held(outbound)) === 0)
  })
})

describe('grpc-js, through two sidecars', () => {
  const open = () => new Client(`127.0.0.1:${grpcPort}`, credentials.createInsecure(), options)
  const echo = (client: Client) =>
    new Promise<true | ServiceError | null>(done =>
      client.makeUnaryRequest(
        '/test.Calls/Echo',
        raw,
        raw,
        message,
        { deadline: Date.now() + 60_000 },
        (error, answer) => done(answer?.equals(message) === true || error),
      ),
    )
  const stream = (
    client: Client,
    name: string,
    deadline = Date.now() + 120_000,
  ): ClientDuplexStream<Buffer, Buffer> => {
    const call = client.makeBidiStreamRequest(`/test.Calls/${name}`, raw, raw, new Metadata(), { deadline })
    call.on('error', () => {})
    return call
  }

  test('uploads that run into their deadline: the channel goes on', async () => {
    const client = open()
    const codes: number[] = []
    // In the metadata: the clock of grpc-js, which resets its stream, is not to be first.
    const metadata = new Metadata()
    metadata.set('grpc-timeout', '1S')
    for (let i = 0; i < 8; i++) {
      const call = client.makeBidiStreamRequest('/test.Calls/Sink', raw, raw, metadata)
      call.on('error', ({ code }: ServiceError) => codes.push(code))
      call.on('data', () => {})
      for (let j = 0; j < 4; j++) call.write(message)
    }
    await until('all have failed', () => codes.length === 8)
    expect(codes).toEqual(Array(8).fill(status.DEADLINE_EXCEEDED))
    for (let i = 0; i < 3; i++) expect(await echo(client)).toBe(true)
    client.close()
  })

  test('streams that stand still, both ways: other calls of the channel and of others go on', async () => {
    const client = open()
    const other = open()
    const calls = Array.from({ length: 24 }, (_, i) => {
      const call = stream(client, i % 2 === 0 ? 'Pour' : 'Sink')
      for (let j = 0; j < 4 && i % 2 === 1; j++) call.write(message)
      return call
    })
    await filled(outbound, 2 * MIB)
    for (const each of [client, other]) for (let i = 0; i < 3; i++) expect(await echo(each)).toBe(true)
    for (const call of calls) call.cancel()
    client.close()
    other.close()
    await until('nothing is held', async () => (await held(outbound)) === 0 && (await held(inbound)) === 0)
  })
})
