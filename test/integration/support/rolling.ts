import { type ClientHttp2Session, connect } from 'node:http2'
import { Client, credentials } from '@grpc/grpc-js'
import type { ConsulAgent } from './consul.ts'
import { type Load, startLoad } from './load.ts'
import { type Pair, runApp, startPair } from './pair.ts'
import { freePort } from './ports.ts'
import { startProxy } from './proxy.ts'
import { until } from './until.ts'

export interface Rolled {
  readonly failures: readonly string[]
  readonly good: number
  readonly restarts: number
}

/**
 * Two pairs of a service are replaced one after the other, as a Deployment does it: a new one, and when it is ready an
 * old one gets SIGTERM. Meanwhile a caller sends by kept connections, by new ones, and by HTTP/2.
 */
export async function rollingPairs(
  consul: ConsulAgent,
  {
    service,
    restarts,
    rate = 30,
    grpc = false,
  }: {
    readonly service: string
    readonly restarts: number
    readonly rate?: number
    /** Servers and clients of gRPC instead. */
    readonly grpc?: boolean
  },
): Promise<Rolled> {
  const discovery = { consul: { address: consul.address, services: { [service]: {} } } }
  const protocol = grpc ? { protocol: 'grpc' } : {}
  const start = async (): Promise<Pair> => {
    const [inbound, port] = [await freePort(), await freePort()]
    return await startPair({
      config: {
        service,
        drain: { delay: '1s', timeout: '5s' },
        inbound: [{ listen: `127.0.0.1:${inbound}`, forward: `127.0.0.1:${port}`, application: protocol }],
        discovery: { consul: { address: consul.address } },
        register: { address: '127.0.0.1' },
      },
      command: runApp,
      env: { PORT: String(port), ...(grpc ? { GRPC: '1' } : {}) },
    })
  }
  const passing = async () =>
    ((await consul.api('GET', `/v1/health/service/${service}?passing`)) as readonly unknown[]).length
  const pairs = [await start(), await start()]
  await until('both in Consul', async () => (await passing()) === 2)
  const port = await freePort()
  await using caller = await startProxy({
    outbound: [{ listen: `127.0.0.1:${port}`, service }],
    discovery,
    services: { [service]: protocol },
  })
  await until('both known', async () => (await caller.endpoints(service)).length === 2)

  const loads: readonly Loading[] = grpc
    ? [startGrpcLoad(port, rate)]
    : [
        loading(startLoad({ port, path: '/', rate })),
        loading(startLoad({ port, path: '/', rate: rate / 2, headers: { connection: 'close' } })),
        startHttp2Load(port, rate / 2),
      ]
  let done = 0
  for (; done < restarts; done++) {
    const old = pairs.shift()!
    pairs.push(await start())
    await until('the new one in Consul', async () => (await passing()) === 3)
    old.signal('SIGTERM')
    const { code } = await old.ended
    // It has no handler of SIGTERM.
    if (code !== 143) throw new Error(`it ended with ${code}: ${old.err()}`)
  }
  const results = await Promise.all(loads.map(load => load.stop()))
  await Promise.all(pairs.map(pair => pair.stop()))
  return {
    failures: results.flatMap(({ failures }) => failures),
    good: results.reduce((sum, { good }) => sum + good, 0),
    restarts: done,
  }
}

interface Loading {
  stop(): Promise<{ readonly failures: readonly string[]; readonly good: number }>
}

function loading(load: Load): Loading {
  return {
    async stop() {
      const { failures, good } = await load.stop()
      return { failures: [...failures].map(([what, count]) => `${what}: ${count}`), good }
    },
  }
}

/** One channel of grpc-js, and a call on it as often as said. */
function startGrpcLoad(port: number, rate: number): Loading {
  const failures: string[] = []
  let good = 0
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure())
  const same = (bytes: Buffer) => bytes
  const open = new Set<Promise<void>>()
  const timer = setInterval(() => {
    const call = new Promise<void>(done => {
      client.makeUnaryRequest(
        '/test.Echo/Say',
        same,
        same,
        Buffer.from('x'),
        { deadline: Date.now() + 60_000 },
        error => {
          if (error === null) good++
          else failures.push(error.message)
          done()
        },
      )
    })
    open.add(call)
    void call.then(() => open.delete(call))
  }, 1000 / rate)
  return {
    async stop() {
      clearInterval(timer)
      await Promise.all(open)
      client.close()
      return { failures, good }
    },
  }
}

/** One connection, and a request on it as often as said. */
function startHttp2Load(port: number, rate: number): Loading {
  const failures: string[] = []
  let good = 0
  let open = 0
  let idle = () => {}
  const session: ClientHttp2Session = connect(`http://127.0.0.1:${port}`)
  session.on('error', error => failures.push(`the connection: ${error.message}`))
  const timer = setInterval(() => {
    const stream = session.request({ ':path': '/' })
    let status = 0
    open++
    stream.on('response', head => (status = Number(head[':status'])))
    stream.on('error', error => failures.push(`HTTP/2: ${error.message}`))
    stream.on('close', () => {
      if (status === 200) good++
      else failures.push(`HTTP/2: status ${status}`)
      if (--open === 0) idle()
    })
    stream.resume()
    stream.end()
  }, 1000 / rate)
  return {
    async stop() {
      clearInterval(timer)
      if (open > 0) await new Promise<void>(resolve => (idle = resolve))
      session.destroy()
      return { failures, good }
    },
  }
}
