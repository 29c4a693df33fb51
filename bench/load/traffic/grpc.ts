import { obtain } from '../../../test/peers/obtain.ts'
import { start } from '../children.ts'
import { askHttp2, h2load } from '../h2load.ts'
import { freePort } from '../ports.ts'
import { waitUntil } from '../ready.ts'
import type { Asked, Backends, Traffic } from './traffic.ts'

const HEADERS = { 'content-type': 'application/grpc', te: 'trailers' } as const

/** The answers of a call that streams. */
export const STREAMED = { messages: 1000, bytes: 1024 } as const

/** `SimpleRequest { response_size: 16 }`. */
export const UNARY: Asked = { path: '/grpc.testing.TestService/UnaryCall', body: message(Buffer.from([0x10, 16])) }
/** `StreamingOutputCallRequest`, with `response_parameters { size: 1024 }` for each message wanted. */
export const STREAM: Asked = {
  path: '/grpc.testing.TestService/StreamingOutputCall',
  body: message(
    Buffer.concat(Array.from({ length: STREAMED.messages }, () => Buffer.from([0x12, 3, 0x08, 0x80, 0x08]))),
  ),
}

function message(bytes: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(bytes.length, 1)
  return Buffer.concat([head, bytes])
}

/** The interoperability server of grpc-go. The load comes from h2load, which costs less than any gRPC client. */
export const grpc: Traffic = {
  name: 'grpc',
  first: UNARY,
  startBackends,
  ask: (port, asked, timeoutMs) => askHttp2(port, asked, HEADERS, timeoutMs),
  load: load => h2load(load, HEADERS),
}

async function startBackends(): Promise<Backends> {
  const command = await obtain('grpc-interop-server')
  const ports = [await freePort(), await freePort(), await freePort()]
  const children = ports.map(port =>
    start('grpc-interop-server', { command, args: [`--port=${port}`], env: { GOMAXPROCS: '1' } }, null),
  )
  await Promise.all(
    children.map((child, index) => waitUntil(child, () => grpc.ask(ports[index]!, grpc.first, 1000), 10_000)),
  )
  return { ports, children }
}
