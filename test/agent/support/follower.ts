import { connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { type Client, type ClientDuplexStream, credentials } from '@grpc/grpc-js'
import { grpcService } from '../../../agent/sync/protos.ts'
import type { ServiceSpec } from '../../../mesh-config/service-spec.ts'

export interface Update {
  readonly service: string
  readonly version: string
  readonly unchanged: boolean
  readonly spec: Buffer
  readonly provenance: Buffer
  readonly warnings: readonly string[]
}

interface FromAgent {
  readonly welcome?: { readonly format: number }
  readonly update?: Update
  readonly refusal?: { readonly reason: string }
}

export interface WantedService {
  readonly service: string
  readonly own?: object
  readonly have?: string
}

/** A proxy as its agent sees it, by the library rather than by the proxy's own code. */
export interface TestFollower {
  readonly welcome: { readonly format: number } | null
  readonly refusal: string
  readonly updates: readonly Update[]
  readonly ended: boolean
  /** The newest update of a service, with its spec read. */
  spec(service: string): ServiceSpec | null
  subscribe(services: readonly WantedService[]): void
  write(message: object): boolean
  close(): void
}

export interface FollowerOptions {
  readonly formats?: readonly number[]
  readonly proxy?: string
  /** Reasons to refuse an update; empty: it is taken. Null: it is not answered. */
  readonly answer?: (update: Update) => readonly string[] | null
}

export function follow(
  socket: string,
  services: readonly WantedService[],
  options: FollowerOptions = {},
): TestFollower {
  const { formats = [1], proxy = 'web-1', answer = () => [] } = options
  const Sync = grpcService('Sync')
  const updates: Update[] = []
  const state = { welcome: null as { format: number } | null, refusal: '', ended: false }
  let attempts = 1
  let client: Client
  let stream: ClientDuplexStream<object, FromAgent>

  const subscribe = (wanted: readonly WantedService[]) =>
    stream.write({
      subscribe: {
        services: wanted.map(({ service, own, have }) => ({
          service,
          have: have ?? '',
          ...(own === undefined ? {} : { own: Buffer.from(JSON.stringify(own)) }),
        })),
      },
    })

  function take({ welcome, update, refusal }: FromAgent): void {
    if (welcome) state.welcome = welcome
    if (refusal) state.refusal = refusal.reason
    if (!update) return
    updates.push(update)
    const reasons = answer(update)
    if (reasons !== null) stream.write({ answer: { service: update.service, version: update.version, reasons } })
  }

  function open(): void {
    client = new Sync(`unix:${socket}`, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 })
    stream = (client as unknown as { Follow(): ClientDuplexStream<object, FromAgent> }).Follow()
    const end = (error?: Error) => {
      client.close()
      // More at once than the system lets wait for the agent: again in a while, as proxies do.
      if (error?.message.includes('EAGAIN')) setTimeout(open, Math.random() * Math.min(4_000, 1_000 * 2 ** attempts++))
      else state.ended = true
    }
    stream.on('data', take)
    stream.on('error', end)
    stream.on('end', () => end())
    stream.write({
      hello: { formats, proxy, service: 'web', version: '0.1.0', host: 'here', zone: '', pid: 1, admin: '' },
    })
    if (services.length > 0) subscribe(services)
  }

  open()
  return {
    get welcome() {
      return state.welcome
    },
    get refusal() {
      return state.refusal
    },
    get ended() {
      return state.ended
    },
    updates,
    spec(service) {
      const newest = updates.findLast(update => update.service === service && !update.unchanged)
      return newest === undefined || newest.spec.length === 0 ? null : JSON.parse(newest.spec.toString())
    },
    subscribe,
    write: message => stream.write(message),
    close() {
      stream.cancel()
      client.close()
    },
  }
}

/** A proxy that says hello, follows a service and never reads anything. Returns how to end it, and whether it was. */
export function followAndReadNothing(socket: string, service: string): { close(): void; readonly ended: boolean } {
  const { requestSerialize, path } = grpcService('Sync').service.Follow!
  const session = connectHttp2('http://localhost', { createConnection: () => connect(socket) })
  session.on('error', () => {})
  const headers = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' }
  const stream = session.request(headers)
  let ended = false
  stream.on('error', () => {})
  stream.on('close', () => {
    ended = true
  })
  const hello = { formats: [1], proxy: 'stuck', service: 'web', version: '0.1.0' }
  for (const message of [{ hello }, { subscribe: { services: [{ service }] } }]) {
    const bytes = requestSerialize(message)
    const prefix = Buffer.alloc(5)
    prefix.writeUInt32BE(bytes.length, 1)
    stream.write(Buffer.concat([prefix, bytes]))
  }
  return {
    close: () => session.destroy(),
    get ended() {
      return ended
    },
  }
}
