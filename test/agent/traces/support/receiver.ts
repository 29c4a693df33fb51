import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import { Metadata, Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js'
import { onTestFinished } from 'vitest'
import { namesIn, type OtlpRequest, TraceService } from './otlp.ts'

/** What a collector says to a request: an HTTP status or a gRPC one, and more where that matters. */
export interface Say {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Buffer
  readonly metadata?: Metadata
  /** Of a partial success. */
  readonly rejected?: number
  readonly message?: string
}

/** A collector that does as told: what a real one does only when it is in trouble. */
export interface Receiver {
  readonly port: number
  /** Of all requests that were answered well. */
  readonly names: string[]
  readonly requests: {
    readonly headers: Readonly<Record<string, unknown>>
    readonly names: readonly string[]
    readonly at: number
  }[]
  /** The texts among the attributes of each resource; of gRPC. */
  readonly resources: Readonly<Record<string, string>>[]
  /** Called with the names in a request. */
  say: (names: readonly string[]) => Say
}

export async function httpReceiver(): Promise<Receiver> {
  const receiver: Omit<Receiver, 'port'> = { names: [], requests: [], resources: [], say: () => ({}) }
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const body = Buffer.concat(parts)
      const names = namesIn(request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body)
      receiver.requests.push({ headers: { ...request.headers, ':path': request.url }, names, at: performance.now() })
      const { status = 200, headers = {}, body: answer = Buffer.alloc(0) } = receiver.say(names)
      if (status === 200) receiver.names.push(...names)
      response.writeHead(status, { 'content-type': 'application/x-protobuf', ...headers }).end(answer)
    })
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return Object.assign(receiver, { port: (server.address() as AddressInfo).port })
}

export async function grpcReceiver(port = 0, credentials = ServerCredentials.createInsecure()): Promise<Receiver> {
  const receiver: Omit<Receiver, 'port'> = { names: [], requests: [], resources: [], say: () => ({}) }
  const server = new Server()
  server.addService(TraceService.service, {
    Export(call: ServerUnaryCall<OtlpRequest, object>, answer: sendUnaryData<object>) {
      const names = call.request.resourceSpans.flatMap(({ scopeSpans }) =>
        scopeSpans.flatMap(({ spans }) => spans.map(({ name }) => name)),
      )
      receiver.requests.push({ headers: call.metadata.getMap(), names, at: performance.now() })
      for (const { resource } of call.request.resourceSpans)
        receiver.resources.push(
          Object.fromEntries(resource!.attributes.map(({ key, value }) => [key, value.stringValue ?? ''])),
        )
      const { status = 0, metadata = new Metadata(), rejected, message = '' } = receiver.say(names)
      if (status !== 0) return answer({ code: status, details: 'as told', metadata })
      receiver.names.push(...names)
      answer(null, rejected === undefined ? {} : { partialSuccess: { rejectedSpans: rejected, errorMessage: message } })
    },
  })
  const bound = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`127.0.0.1:${port}`, credentials, (error, at) => (error === null ? resolve(at) : reject(error))),
  )
  onTestFinished(() => server.forceShutdown())
  return Object.assign(receiver, { port: bound })
}
