import { type ClientDuplexStream, credentials } from '@grpc/grpc-js'
import { grpcService } from '../../agent/sync/protos.ts'

export interface FakeUpdate {
  readonly service: string
  readonly version: string
  readonly spec: Buffer
}

/** A proxy without traffic, as far as its agent sees one: it follows, acknowledges all, and tells what it is given. */
export interface FakeProxy {
  /** What it has of each service. */
  readonly has: ReadonlyMap<string, FakeUpdate>
  summary(summary: object): void
  end(): void
}

export interface FakeProxyOptions {
  readonly socket: string
  readonly proxy: string
  readonly service: string
  readonly services: readonly string[]
  /** Why it refuses an update; empty: it does not. */
  readonly refuses?: (update: FakeUpdate) => readonly string[]
}

interface FollowClient {
  Follow(): ClientDuplexStream<object, { readonly update?: FakeUpdate }>
  close(): void
}

export function fakeProxy({ socket, proxy, service, services, refuses = () => [] }: FakeProxyOptions): FakeProxy {
  const Sync = grpcService('Sync')
  const client = new Sync(`unix:${socket}`, credentials.createInsecure()) as unknown as FollowClient
  const stream = client.Follow()
  const has = new Map<string, FakeUpdate>()
  stream.on('error', () => {})
  stream.on('data', ({ update }: { readonly update?: FakeUpdate }) => {
    if (update === undefined || update === null) return
    const reasons = refuses(update)
    if (reasons.length === 0) has.set(update.service, update)
    stream.write({ answer: { service: update.service, version: update.version, reasons } })
  })
  stream.write({
    hello: {
      formats: [1, 2, 3, 4],
      proxy,
      service,
      version: 'test',
      host: 'test',
      zone: '',
      pid: 1,
      admin: '',
      config: '',
    },
  })
  stream.write({ subscribe: { services: services.map(each => ({ service: each })) } })
  return {
    has,
    summary: summary => void stream.write({ summary: { atMs: Date.now(), lengthMs: 1000, ...summary } }),
    end() {
      stream.cancel()
      client.close()
    },
  }
}

/** An edge of a summary. */
export function edge(
  source: string,
  destination: string,
  counts: Readonly<Record<number, number>>,
  bucket = 40,
): object {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0)
  return {
    source,
    destination,
    route: '/*',
    protocol: 'http1',
    counts: Object.entries(counts).map(([status, count]) => ({ status: Number(status), flag: '-', count })),
    buckets: [bucket],
    bucketCounts: [total],
  }
}
