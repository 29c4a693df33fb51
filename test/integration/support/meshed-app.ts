import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { ConsulAgent } from './consul.ts'

/** What an instance saw of a request. */
export interface Seen {
  readonly instance: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

export interface MeshedApp extends AsyncDisposable {
  readonly id: string
  readonly port: number
  /** Requests so far. */
  count(): number
  /** Of its check in Consul. */
  say(status: 'passing' | 'warning' | 'critical'): Promise<void>
}

export interface MeshedOptions {
  readonly meta?: Readonly<Record<string, string>>
  readonly tags?: readonly string[]
  /** The status of its first answers to a path that begins with `/flaky`, as often as `times`. */
  readonly fails?: { readonly status: number; readonly times: number }
}

/**
 * An application in this process that is registered with Consul as Connect-native: on one port it speaks TLS with its
 * certificate of Consul, for Envoy, and plain HTTP. It answers with what it saw; `/slow` takes a second.
 */
export async function startMeshedApp(
  consul: ConsulAgent,
  service: string,
  id: string,
  { meta = {}, tags = [], fails }: MeshedOptions = {},
): Promise<MeshedApp> {
  let requests = 0
  let failures = fails?.times ?? 0
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    requests++
    const path = request.url ?? ''
    const isFailing = path.startsWith('/flaky') && failures-- > 0
    const status = isFailing ? fails!.status : 200
    const body: Seen = { instance: id, path, headers: request.headers as Seen['headers'] }
    const send = () => {
      response.writeHead(status, { 'content-type': 'application/json', 'x-app': id, 'x-internal': 'secret' })
      response.end(JSON.stringify(body))
    }
    if (path.startsWith('/slow')) setTimeout(send, 1_000)
    else send()
  }
  const leaf = (await consul.api('GET', `/v1/agent/connect/ca/leaf/${service}`)) as Readonly<Record<string, string>>
  const plain = createHttpServer({ keepAliveTimeout: 60_000 }, answer)
  const secure = createHttpsServer({ cert: leaf.CertPEM, key: leaf.PrivateKeyPEM, keepAliveTimeout: 60_000 }, answer)
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket.on('error', () => {}).on('close', () => sockets.delete(socket)))
    socket.once('data', first => {
      socket.pause()
      socket.unshift(first as Buffer)
      const isTls = (first as Buffer)[0] === 0x16
      ;(isTls ? secure : plain).emit('connection', socket)
      process.nextTick(() => socket.resume())
    })
  })
  const port = await listening(server)
  await consul.api('PUT', '/v1/agent/service/register', {
    Name: service,
    ID: id,
    Address: '127.0.0.1',
    Port: port,
    Meta: meta,
    Tags: tags,
    Connect: { Native: true },
    Check: { CheckID: `check-${id}`, TTL: '1h', Status: 'passing' },
  })
  return {
    id,
    port,
    count: () => requests,
    async say(status) {
      await consul.api('PUT', `/v1/agent/check/update/check-${id}`, { Status: status, Output: 'said' })
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

function listening(server: Server): Promise<number> {
  return new Promise(resolve => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
}
