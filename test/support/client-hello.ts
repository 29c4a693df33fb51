import { Duplex } from 'node:stream'
import { type ConnectionOptions, connect } from 'node:tls'

/** The ClientHello of Node. */
export function clientHello(options: ConnectionOptions): Promise<Buffer> {
  return new Promise(resolve => {
    const wire = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        resolve(chunk)
        done()
        wire.destroy()
      },
    })
    connect({ socket: wire, ...options }).on('error', () => {})
  })
}

/** The message in records of other sizes. */
export function inRecords(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5)
  const records: Buffer[] = []
  for (let at = 0; at < message.length; at += size) {
    const fragment = message.subarray(at, at + size)
    records.push(Buffer.from([0x16, 3, 1, fragment.length >> 8, fragment.length & 255]), fragment)
  }
  return Buffer.concat(records)
}

/** With one more extension, before the others. */
export function withExtension(hello: Buffer, type: number, data: Buffer): Buffer {
  const at = extensionsAt(hello)
  const extension = Buffer.concat([Buffer.from([type >> 8, type & 255, data.length >> 8, data.length & 255]), data])
  const changed = Buffer.concat([hello.subarray(0, at), extension, hello.subarray(at)])
  changed.writeUInt16BE(changed.readUInt16BE(at - 2) + extension.length, at - 2)
  changed.writeUIntBE(changed.length - 9, 6, 3)
  changed.writeUInt16BE(changed.length - 5, 3)
  return changed
}

/**
 * The offset of the list of extensions: after record and message header, version, random, session id, cipher suites and
 * compression methods.
 */
function extensionsAt(hello: Buffer): number {
  let at = 5 + 4 + 34
  at += 1 + hello[at]!
  at += 2 + hello.readUInt16BE(at)
  at += 1 + hello[at]!
  return at + 2
}
