import { formatAddress } from '../../mesh-config/address.ts'
import type { GrpcCheckSpec } from '../../mesh-config/snapshot.ts'
import { HeaderList } from '../core/header-list.ts'
import type { Headers, ResponseHead } from '../core/message.ts'
import { ProtoReader, ProtoWriter } from '../core/protobuf.ts'
import { type CheckerDeps, HEALTHY, type MakeChecker, type Outcome } from './checker.ts'
import { type AnswerReader, StreamChecker } from './stream-checker.ts'

/** `HealthCheckResponse.ServingStatus`. */
const statusNames = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'] as const
const SERVING = 1
/** Before each message: whether it is compressed, and its length. */
const MESSAGE_HEAD = 5
const MOST_BYTES = 4 * 1024
/** Statuses of gRPC that say little of the server: deadline exceeded, resource exhausted, unavailable. */
const PASSING_BY = new Set(['4', '8', '14'])
const NOT_THERE = new Set(['5', '12'])

/** `grpc.health.v1.Health/Check`. */
export function grpcChecks(spec: GrpcCheckSpec, reuse: boolean, deps: CheckerDeps): MakeChecker {
  const { service, authority, headers } = spec
  const fields = ['content-type', 'application/grpc', 'te', 'trailers', 'user-agent', 'outrigger-check']
  const body = healthRequest(service)
  return address => {
    const name = formatAddress(address)
    const what = `the gRPC health of ${service === '' ? 'the server' : service} at ${name}`
    return new StreamChecker(
      address,
      {
        codec: deps.http2,
        head: {
          method: 'POST',
          scheme: deps.scheme,
          authority: authority === '' ? name : authority,
          path: '/grpc.health.v1.Health/Check',
          upgrade: '',
          headers: new HeaderList([...fields, ...headers.flat()]),
        },
        body,
        reuse,
        maxResponseMs: 0,
        spoken: 'HTTP/2',
        words: trouble => (trouble.startsWith('is ') ? `${what} ${trouble}` : `${what}: ${trouble}`),
        begin: () => new GrpcAnswer(),
      },
      deps,
    )
  }
}

class GrpcAnswer implements AnswerReader {
  #message: Buffer = Buffer.alloc(0)
  /** The status of the call where it is in the head. */
  #headers: Headers | null = null

  head({ status, headers }: ResponseHead): Outcome | null {
    if (status !== 200) return { kind: 'failed', trouble: `HTTP status ${status}, and no gRPC` }
    const called = headers.get('grpc-status')
    if (called !== undefined) this.#headers = new HeaderList(['grpc-status', called])
    return null
  }

  data(chunk: Buffer): Outcome | null {
    this.#message = Buffer.concat([this.#message, chunk])
    return this.#message.length > MOST_BYTES ? { kind: 'failed', trouble: 'its answer is too long' } : null
  }

  ended(trailers: Headers | null): Outcome {
    const called = (trailers ?? this.#headers)?.get('grpc-status') ?? ''
    if (called !== '0') {
      const why = NOT_THERE.has(called)
        ? 'it has no such service, or no health service'
        : called === ''
          ? 'there is no gRPC status'
          : `gRPC status ${called}`
      return { kind: PASSING_BY.has(called) ? 'failed' : 'unhealthy', trouble: `the call failed: ${why}` }
    }
    const status = servingStatus(this.#message)
    if (status === SERVING) return HEALTHY
    return { kind: 'unhealthy', trouble: `is ${statusNames[status] ?? status}` }
  }
}

function servingStatus(message: Buffer): number {
  // A status of 0 is left out.
  let status = 0
  if (message.length < MESSAGE_HEAD) return status
  const reader = new ProtoReader(message, MESSAGE_HEAD, message.length)
  while (reader.next()) {
    if (reader.field === 1) status = reader.uint()
    else reader.skip()
  }
  return reader.problem === '' ? status : 0
}

function healthRequest(service: string): Buffer {
  const writer = new ProtoWriter(256, 1024)
  if (service !== '') writer.string(1, service)
  const head = Buffer.alloc(MESSAGE_HEAD)
  head.writeUInt32BE(writer.length, 1)
  return Buffer.concat([head, writer.view()])
}
