import { connect as connectHttp2, constants } from 'node:http2'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  Client,
  credentials,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
} from '@grpc/grpc-js'
import { WebSocket } from 'ws'
import { startBackend } from './backend.ts'
import { startLoad } from './load.ts'
import { freePort } from './ports.ts'
import { startUpgraded } from './upgraded.ts'
import { startChat } from './websockets.ts'

/** Callers of every kind at once, none of which is to notice that the program of the sidecar is another one. */

export interface UpgradeLoad {
  /** Of new connections and of kept ones, each. */
  readonly rate: number
  readonly upgrades: number
  readonly workers?: number
}

export interface UpgradeResult {
  /** By kind of caller: what went well. */
  readonly good: Readonly<Record<string, number>>
  /** What went wrong, in words. */
  readonly failures: readonly string[]
  /** From the start of each new process until it served. */
  readonly readyMs: readonly number[]
  /** Streams, tunnels and WebSockets that began with one process and ended well when another served. */
  readonly outlived: number
}

/** How long a stream, a tunnel or a WebSocket lasts. */
const LASTS_MS = 3_000
const raw = (bytes: Buffer) => bytes
const method = (path: string, streams: boolean) => ({
  path,
  requestStream: streams,
  responseStream: streams,
  requestSerialize: raw,
  requestDeserialize: raw,
  responseSerialize: raw,
  responseDeserialize: raw,
})

export async function upgradeUnderLoad({ rate, upgrades, workers = 1 }: UpgradeLoad): Promise<UpgradeResult> {
  await using backend = await startBackend()
  const chat = await startChat()
  const echo = createServer(socket => void socket.on('error', () => {}).pipe(socket))
  const echoPort = await freePort()
  await new Promise<void>(done => echo.listen(echoPort, '127.0.0.1', done))
  const { server, grpcPort } = await startGrpc()
  const [inbound, outbound, tcp, grpc, ws] = await Promise.all([1, 2, 3, 4, 5].map(freePort))
  const proxy = await startUpgraded({
    workers,
    drain: { delay: '0s', timeout: '20s' },
    inbound: [{ listen: `127.0.0.1:${inbound}`, forward: backend.address }],
    outbound: [
      { listen: `127.0.0.1:${outbound}`, service: 'orders' },
      { listen: `127.0.0.1:${tcp}`, service: 'echo', protocol: 'tcp' },
      { listen: `127.0.0.1:${grpc}`, service: 'calls' },
      { listen: `127.0.0.1:${ws}`, service: 'chat' },
    ],
    discovery: {
      endpoints: {
        orders: [backend.address],
        echo: [`127.0.0.1:${echoPort}`],
        calls: [`127.0.0.1:${grpcPort}`],
        chat: [chat.address],
      },
    },
    services: { echo: { protocol: 'tcp' }, calls: { protocol: 'grpc' } },
  })

  const failures: string[] = []
  const good: Record<string, number> = {}
  let generation = 0
  let outlived = 0
  let isOver = false
  const well = (kind: string) => (good[kind] = (good[kind] ?? 0) + 1)
  const badly = (kind: string, why: unknown) => failures.push(`${kind}: ${why instanceof Error ? why.message : why}`)

  /** One after the other until the end; `once` rejects where anything is wrong. */
  async function caller(kind: string, pauseMs: number, once: () => Promise<unknown>): Promise<void> {
    while (!isOver) {
      const begun = generation
      await once().then(
        () => {
          well(kind)
          if (generation !== begun) outlived++
        },
        (error: unknown) => badly(kind, error),
      )
      await sleep(pauseMs)
    }
  }

  const client = new Client(`127.0.0.1:${grpc}`, credentials.createInsecure())
  const session = http2Session(inbound!)
  const kept = [inbound!, outbound!].map(port => startLoad({ port, path: '/', rate: rate / 2 }))
  const fresh = [inbound!, outbound!].map(port =>
    startLoad({ port, path: '/', rate: rate / 2, headers: { connection: 'close' } }),
  )
  const callers = [
    caller('gRPC call', 20, () => unary(client)),
    ...Array.from({ length: 4 }, () => caller('gRPC stream', 10, () => stream(client))),
    ...Array.from({ length: 4 }, () => caller('TCP tunnel', 10, () => tunnel(tcp!))),
    ...Array.from({ length: 4 }, () => caller('WebSocket', 10, () => conversation(ws!))),
    ...Array.from({ length: 4 }, () => caller('HTTP/2 request', 10, session.get)),
    caller('slow request', 10, () => slow(outbound!)),
  ]

  await sleep(1_000)
  const readyMs: number[] = []
  try {
    for (let i = 0; i < upgrades; i++) {
      const before = proxy.now()
      const outcome = await proxy.upgrade()
      if (!outcome.ok) throw new Error(`no upgrade: ${JSON.stringify(outcome)}\n${proxy.err().slice(-3000)}`)
      generation++
      readyMs.push(outcome.readyMs)
      while (proxy.alive().includes(before)) await sleep(50)
      await sleep(200)
    }
  } finally {
    isOver = true
  }
  await Promise.all(callers)
  for (const [kind, loads] of [
    ['kept connection', kept],
    ['new connection', fresh],
  ] as const)
    for (const load of loads) {
      const result = await load.stop()
      good[kind] = (good[kind] ?? 0) + result.good
      for (const [why, count] of result.failures) failures.push(`${kind}: ${why} x${count}`)
    }
  client.close()
  session.close()
  const cut = / (\d+) requests were still running/.exec(proxy.err())
  if (cut !== null) failures.push(cut[0])
  await proxy.stop()
  server.forceShutdown()
  chat.stop()
  echo.close()
  return { good, failures, readyMs, outlived }
}

async function startGrpc(): Promise<{ server: Server; grpcPort: number }> {
  const server = new Server()
  server.addService(
    { Echo: method('/test.Calls/Echo', false), Stream: method('/test.Calls/Stream', true) },
    {
      Echo: (call: ServerUnaryCall<Buffer, Buffer>, answer: (error: null, value: Buffer) => void) =>
        answer(null, call.request),
      Stream(call: ServerDuplexStream<Buffer, Buffer>) {
        call.on('data', (message: Buffer) => call.write(message))
        call.on('end', () => call.end())
      },
    },
  )
  const grpcPort = await freePort()
  await new Promise<void>((done, failed) =>
    server.bindAsync(`127.0.0.1:${grpcPort}`, ServerCredentials.createInsecure(), error =>
      error === null ? done() : failed(error),
    ),
  )
  return { server, grpcPort }
}

function unary(client: Client): Promise<void> {
  return new Promise((done, failed) => {
    const { path } = method('/test.Calls/Echo', false)
    client.makeUnaryRequest(path, raw, raw, Buffer.from('hello'), error => (error === null ? done() : failed(error)))
  })
}

/** Messages to and fro as long as it lasts, and then its status. */
function stream(client: Client): Promise<void> {
  return new Promise((done, failed) => {
    const call = client.makeBidiStreamRequest('/test.Calls/Stream', raw, raw)
    const end = performance.now() + LASTS_MS
    let sent = 0
    let heard = 0
    const say = () => void call.write(Buffer.from(String(sent++)))
    call.on('data', (message: Buffer) => {
      if (message.toString() !== String(heard++)) failed(new Error(`heard ${message} as number ${heard - 1}`))
      if (performance.now() < end) setTimeout(say, 20)
      else call.end()
    })
    call.on('error', failed)
    call.on('status', ({ code }) => (code === 0 && heard === sent ? done() : failed(new Error(`status ${code}`))))
    say()
  })
}

function tunnel(port: number): Promise<void> {
  return new Promise((done, failed) => {
    const socket: Socket = connect(port, '127.0.0.1')
    const end = performance.now() + LASTS_MS
    let isEnding = false
    socket.on('error', failed)
    socket.on('data', () => {
      if (performance.now() < end) return void setTimeout(() => socket.write('ping'), 20)
      isEnding = true
      socket.end()
    })
    socket.on('close', () => (isEnding ? done() : failed(new Error('closed'))))
    socket.write('ping')
  })
}

function conversation(port: number): Promise<void> {
  return new Promise((done, failed) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`)
    const end = performance.now() + LASTS_MS
    let isEnding = false
    socket.on('open', () => socket.send('hello'))
    socket.on('message', () => {
      if (performance.now() < end) return void setTimeout(() => socket.send('hello'), 20)
      isEnding = true
      socket.close(1000)
    })
    socket.on('error', failed)
    socket.on('close', code => (isEnding && code === 1000 ? done() : failed(new Error(`closed with ${code}`))))
  })
}

/** As long as the connection is not told to go: then another one takes the next requests. */
function http2Session(port: number): { get(): Promise<void>; close(): void } {
  const open = () => {
    const session = connectHttp2(`http://127.0.0.1:${port}`)
    session.on('error', () => {})
    session.on('goaway', () => renew(session))
    session.on('close', () => renew(session))
    return session
  }
  let isClosed = false
  let now = open()
  function renew(session: typeof now): void {
    if (session === now && !isClosed) now = open()
  }
  const once = () =>
    new Promise<number>((done, failed) => {
      const request = now.request({ ':path': '/slow/10' })
      let status = 0
      request.on('response', head => (status = Number(head[':status'])))
      request.on('error', error => (request.rstCode === constants.NGHTTP2_REFUSED_STREAM ? done(0) : failed(error)))
      request.on('close', () => done(status))
      request.resume()
      request.end()
    })
  return {
    async get() {
      // Refused means that nothing was done: any client of HTTP/2 sends it again (RFC 9113 section 8.7). It need not
      // come from the proxy: nghttp2 refuses by itself what it has not sent when a GOAWAY comes.
      const status = (await once()) || (await once())
      if (status !== 200) throw new Error(`status ${status}`)
    },
    close() {
      isClosed = true
      now.close()
    },
  }
}

async function slow(port: number): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${port}/drip/20/100`)
  const text = await response.text()
  if (text !== 'drop\n'.repeat(20)) throw new Error(`cut after ${text.length} bytes`)
}
