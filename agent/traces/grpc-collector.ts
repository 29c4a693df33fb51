import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js'
import { readAnswer, retryInfo } from './answers.ts'
import { type Collector, type CollectorOptions, nameOf, type Outcome, shortened } from './collector.ts'

const EXPORT = '/opentelemetry.proto.collector.trace.v1.TraceService/Export'
const bytesAsTheyAre = (bytes: Buffer) => bytes
/** https://opentelemetry.io/docs/specs/otlp/#failures */
const RETRYABLE: readonly number[] = [
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.ABORTED,
  status.OUT_OF_RANGE,
  status.UNAVAILABLE,
  status.DATA_LOSS,
]
const OF_CONTENT: readonly number[] = [status.INVALID_ARGUMENT, status.RESOURCE_EXHAUSTED, status.INTERNAL]
const GZIP = 2

export function grpcCollector({ target, tls, timeoutMs }: CollectorOptions): Collector {
  const client = new Client(
    `${target.host.includes(':') ? `[${target.host}]` : target.host}:${target.port}`,
    target.secure ? credentials.createSsl(tls.ca, tls.key, tls.cert) : credentials.createInsecure(),
    {
      // The retries are this program's own.
      'grpc.enable_retries': 0,
      'grpc.initial_reconnect_backoff_ms': 500,
      'grpc.max_reconnect_backoff_ms': 5_000,
      'grpc.max_receive_message_length': 1024 * 1024,
      'grpc.keepalive_time_ms': 60_000,
      ...(target.compression === 'gzip' ? { 'grpc.default_compression_algorithm': GZIP } : {}),
    },
  )
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(target.headers)) metadata.set(name, value)
  return {
    name: nameOf(target),
    send: request =>
      new Promise(resolve => {
        const options = { deadline: Date.now() + timeoutMs }
        client.makeUnaryRequest(EXPORT, bytesAsTheyAre, bytesAsTheyAre, request, metadata, options, (error, answer) =>
          resolve(error === null ? { kind: 'taken', ...readAnswer(answer ?? Buffer.alloc(0)) } : outcomeOf(error)),
        )
      }),
    close: () => client.close(),
  }
}

function outcomeOf({ code, details, metadata }: ServiceError): Outcome {
  const said = metadata?.get('grpc-status-details-bin')[0]
  const afterMs = Buffer.isBuffer(said) ? retryInfo(said) : null
  const why = shortened(`${status[code] ?? code}: ${details}`)
  if (RETRYABLE.includes(code) || (code === status.RESOURCE_EXHAUSTED && afterMs !== null))
    return { kind: 'again', why, afterMs }
  return { kind: 'refused', why, content: OF_CONTENT.includes(code) }
}
