// A conformance server: what is asked of it on standard input goes on to Connect's reference server, and the port it
// answers with is that of a sidecar in front of that.
// Started with the reference server's program and the number of sidecars.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { freePort } from '../../integration/support/ports.ts'
import { startProxy } from '../../integration/support/proxy.ts'

/** Numbers of connectrpc.conformance.v1: fields of ServerCompatRequest and ServerCompatResponse, and their values. */
const PROTOCOL = 1
const HTTP_VERSION = 2
const GRPC = 2n
const HTTP_2 = 2n
const HOST = 1
const PORT = 2

const [program, sidecars] = process.argv.slice(2)

const asked = await readMessage(process.stdin)
const fields = varints(asked)
const server = spawn(program!, [], { stdio: ['pipe', 'pipe', 'inherit'] })
process.on('exit', () => server.kill())
process.on('SIGTERM', () => process.exit(0))
server.once('exit', code => process.exit(code ?? 1))
server.stdin.write(framed(asked))
let port = Number(varints(await readMessage(server.stdout)).get(PORT))

const protocol = fields.get(HTTP_VERSION) !== HTTP_2 ? 'http' : fields.get(PROTOCOL) === GRPC ? 'grpc' : 'http2'
if (sidecars === '2') {
  const listen = await freePort()
  await startProxy({
    service: 'conformance',
    inbound: [{ listen: `127.0.0.1:${listen}`, forward: `127.0.0.1:${port}`, application: { protocol } }],
  })
  port = listen
}
const listen = await freePort()
await startProxy({
  outbound: [{ listen: `127.0.0.1:${listen}`, service: 'conformance' }],
  discovery: { endpoints: { conformance: [`127.0.0.1:${port}`] } },
  services: { conformance: { protocol } },
})
process.stdout.write(
  framed(
    Buffer.concat([
      Buffer.from([(HOST << 3) | 2, 9]),
      Buffer.from('127.0.0.1'),
      Buffer.from([PORT << 3]),
      varint(listen),
    ]),
  ),
)

/** Messages have their length before them, in four bytes. */
async function readMessage(stream: Readable): Promise<Buffer> {
  const take = async (bytes: number): Promise<Buffer> => {
    for (;;) {
      const chunk = bytes === 0 ? Buffer.alloc(0) : (stream.read(bytes) as Buffer | null)
      if (chunk !== null) return chunk
      await once(stream, 'readable')
    }
  }
  return await take((await take(4)).readUInt32BE())
}

function framed(message: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(message.length)
  return Buffer.concat([length, message])
}

/** The fields of a protobuf message that are numbers; those that are bytes are passed over. */
function varints(message: Buffer): Map<number, bigint> {
  const found = new Map<number, bigint>()
  let at = 0
  const next = (): bigint => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++]!
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  while (at < message.length) {
    const key = Number(next())
    const value = next()
    if ((key & 7) === 0) found.set(key >> 3, value)
    else at += Number(value)
  }
  return found
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (; value >= 0x80; value >>= 7) bytes.push((value & 0x7f) | 0x80)
  return Buffer.from([...bytes, value])
}
