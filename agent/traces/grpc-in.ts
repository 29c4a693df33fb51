import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js'
import type { Counters } from './counters.ts'
import type { Intake } from './intake.ts'
import { encodeAnswer } from './otlp-json.ts'
import { delimited, varintField } from './wire.ts'

/** Of one request, after decompression. */
export const MAX_REQUEST_BYTES = 16 * 1024 * 1024
const bytesAsTheyAre = (bytes: Buffer) => bytes

/** OTLP's service, on the bytes of its messages: nothing is decoded that nobody looks at. */
const traceService = {
  Export: {
    path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
    requestStream: false,
    responseStream: false,
    requestSerialize: bytesAsTheyAre,
    requestDeserialize: bytesAsTheyAre,
    responseSerialize: bytesAsTheyAre,
    responseDeserialize: bytesAsTheyAre,
  },
} as const

export function addTraceService(server: Server, from: keyof Counters['received'], receive: Intake): void {
  const implementation: UntypedServiceImplementation = {
    Export(call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) {
      receive(call.request, from).then(
        received => {
          if (received.outcome === 'taken') answer(null, encodeAnswer(false, received.rejected, received.message))
          else if (received.outcome === 'malformed')
            answer({ code: status.INVALID_ARGUMENT, details: received.message })
          else answer(comeAgain())
        },
        (error: Error) => answer({ code: status.INTERNAL, details: error.message }),
      )
    },
  }
  server.addService(traceService, implementation)
}

/** UNAVAILABLE with a google.rpc.RetryInfo of one second, as OTLP asks for. */
function comeAgain() {
  const details = 'the agent has as many spans in its hands as it may: send these again'
  const retryInfo = delimited(1, [varintField(1, 1)])
  const any = delimited(3, [
    delimited(1, [Buffer.from('type.googleapis.com/google.rpc.RetryInfo')]),
    delimited(2, [retryInfo]),
  ])
  const metadata = new Metadata()
  const said = [varintField(1, status.UNAVAILABLE), delimited(2, [Buffer.from(details)]), any]
  metadata.set('grpc-status-details-bin', Buffer.concat(said))
  return { code: status.UNAVAILABLE, details, metadata }
}

/** For applications: a server of its own, because the agent's has more to say than they should hear. */
export async function listenGrpc(address: string, receive: Intake): Promise<{ port: number; stop: () => void }> {
  const server = new Server({
    'grpc.max_receive_message_length': MAX_REQUEST_BYTES,
    // Bounds for whoever connects: streams of one connection, and how long a silent one is kept.
    'grpc.max_concurrent_streams': 100,
    'grpc.max_connection_idle_ms': 600_000,
    'grpc.keepalive_time_ms': 60_000,
  })
  addTraceService(server, 'grpc', receive)
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  )
  return { port, stop: () => server.forceShutdown() }
}
