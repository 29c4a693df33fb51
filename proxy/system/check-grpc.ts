import { formatAddress } from '../../mesh-config/address.ts'
import type { AddressSpec, ApplicationCheckSpec } from '../../mesh-config/snapshot.ts'
import { askPort } from './check-port.ts'

type GrpcCheck = Extract<ApplicationCheckSpec, { kind: 'grpc' }>

/** Types of HTTP/2 frames, and their flags. */
const [DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY] = [0, 1, 3, 4, 6, 7] as const
const [END_STREAM, ACK, END_HEADERS, PADDED] = [1, 1, 4, 8] as const
const FRAME_HEAD = 9
const MESSAGE_HEAD = 5
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
/** `HealthCheckResponse.ServingStatus`. */
const statusNames = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'] as const

/**
 * `grpc.health.v1.Health/Check` on a connection of its own. One unary call needs no more of HTTP/2 than this: the
 * status is in the message, so the header block of the answer need not be decoded.
 */
export function checkGrpc(address: AddressSpec, { service, timeoutMs }: GrpcCheck): Promise<string> {
  const host = formatAddress(address)
  const what = `the gRPC health of ${service === '' ? 'the server' : service} at ${host}`
  const request = Buffer.concat([
    Buffer.from(PREFACE, 'latin1'),
    frame(SETTINGS, 0, 0, Buffer.alloc(0)),
    frame(HEADERS, END_HEADERS, 1, headerBlock(host)),
    frame(DATA, END_STREAM, 1, healthRequest(service)),
  ])
  const read = answerReader(what)
  return new Promise(resolve =>
    askPort(address, timeoutMs, { request, read }, trouble =>
      resolve(trouble === '' || trouble.startsWith(what) ? trouble : `${what}: ${trouble}`),
    ),
  )
}

function answerReader(what: string): (soFar: Buffer, reply: (bytes: Uint8Array) => void) => string | undefined {
  let at = 0
  let message = Buffer.alloc(0)
  return (soFar, reply) => {
    while (soFar.length >= at + FRAME_HEAD) {
      const length = soFar.readUIntBE(at, 3)
      if (soFar.length < at + FRAME_HEAD + length) return undefined
      const [type, flags] = [soFar[at + 3]!, soFar[at + 4]!]
      const payload = soFar.subarray(at + FRAME_HEAD, at + FRAME_HEAD + length)
      at += FRAME_HEAD + length
      if (type === SETTINGS && (flags & ACK) === 0) reply(frame(SETTINGS, ACK, 0, Buffer.alloc(0)))
      else if (type === PING && (flags & ACK) === 0) reply(frame(PING, ACK, 0, payload))
      else if (type === RST_STREAM || type === GOAWAY) return `${what}: the call was refused`
      else if (type === DATA) message = Buffer.concat([message, (flags & PADDED) === 0 ? payload : unpadded(payload)])
      const status = statusIn(message)
      if (status !== null) return status === 1 ? '' : `${what} is ${statusNames[status] ?? status}`
      if ((type === DATA || type === HEADERS) && (flags & END_STREAM) !== 0)
        return `${what}: the call failed: it has no such service, or no health service`
    }
    return undefined
  }
}

/** Null: the message is not whole yet. */
function statusIn(message: Buffer): number | null {
  if (message.length < MESSAGE_HEAD) return null
  const length = message.readUInt32BE(1)
  if (message.length < MESSAGE_HEAD + length) return null
  // Field 1, a varint; a status of 0 is left out.
  return length >= 2 && message[MESSAGE_HEAD] === 0x08 ? message[MESSAGE_HEAD + 1]! : 0
}

function unpadded(payload: Buffer): Buffer {
  return payload.subarray(1, payload.length - payload[0]!)
}

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(FRAME_HEAD)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** HPACK: indexed fields of the static table, and literals that are not indexed. */
function headerBlock(authority: string): Buffer {
  const text = (value: string) => Buffer.concat([Buffer.from([value.length]), Buffer.from(value, 'latin1')])
  return Buffer.concat([
    Buffer.from([0x83, 0x86, 0x04]), // :method POST, :scheme http, :path
    text('/grpc.health.v1.Health/Check'),
    Buffer.from([0x01]), // :authority
    text(authority.slice(0, 126)),
    Buffer.from([0x0f, 0x10]), // content-type
    text('application/grpc'),
    Buffer.from([0x00]),
    text('te'),
    text('trailers'),
  ])
}

/** `HealthCheckRequest`: the name of the service is field 1, a string. */
function healthRequest(service: string): Buffer {
  const name = Buffer.from(service, 'latin1')
  const body = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, name.length]), name])
  const head = Buffer.alloc(MESSAGE_HEAD)
  head.writeUInt32BE(body.length, 1)
  return Buffer.concat([head, body])
}
