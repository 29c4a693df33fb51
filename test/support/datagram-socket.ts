import { functionsOf } from '../../proxy/system/libc.ts'

/** A Unix datagram socket that listens, as systemd's for sd_notify: Node has none. */
export interface DatagramSocket extends Disposable {
  /** What has come since the last call. */
  read(): string[]
}

const MSG_DONTWAIT = 0x40

/** `@name`: without a file. */
export function datagramSocket(path: string): DatagramSocket {
  const libc = functionsOf({
    socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
    bind: { arguments: ['i32', 'pointer', 'u32'], return: 'i32' },
    recv: { arguments: ['i32', 'pointer', 'u64', 'i32'], return: 'i64' },
    close: { arguments: ['i32'], return: 'i32' },
  })
  if (libc === null) throw new Error('this Node has no node:ffi')
  const address = Buffer.concat([Buffer.from([1, 0]), Buffer.from(path.replace(/^@/, '\0'))])
  const fd = libc.socket(1, 2, 0)
  if (libc.bind(fd, address, address.length) !== 0) throw new Error(`cannot bind ${path}`)
  const buffer = Buffer.alloc(4096)
  return {
    read() {
      const read: string[] = []
      for (;;) {
        const length = Number(libc.recv(fd, buffer, BigInt(buffer.length), MSG_DONTWAIT))
        if (length < 0) return read
        read.push(buffer.toString('utf8', 0, length))
      }
    },
    [Symbol.dispose]: () => void libc.close(fd),
  }
}
