import { functionsOf } from './libc.ts'

const AF_UNIX = 1
const SOCK_DGRAM = 2
const MSG_DONTWAIT = 0x40
const MSG_NOSIGNAL = 0x4000
/** `sun_path` of `sockaddr_un`. */
const LONGEST_PATH = 107
/** Where there is systemd it is there. */
const PROGRAM = 'systemd-notify'

/** Sends one datagram; false: it did not go. */
export type Notify = (text: string) => boolean

/**
 * The socket on which systemd hears of a service (sd_notify(3)): a Unix datagram socket, which Node has none of. `@` in
 * the place of the first byte is a name without a file. Without `node:ffi` the program `systemd-notify` says it.
 */
export function notifySocket(path: string): Notify {
  if (Buffer.byteLength(path) > LONGEST_PATH || !/^[/@]/.test(path)) return () => false
  const libc = functionsOf({
    socket: { arguments: ['i32', 'i32', 'i32'], return: 'i32' },
    sendto: { arguments: ['i32', 'pointer', 'u64', 'i32', 'pointer', 'u32'], return: 'i64' },
    close: { arguments: ['i32'], return: 'i32' },
  })
  if (libc === null || process.platform !== 'linux') return byProgram
  const address = addressOf(path)
  return text => {
    // Opened for each: there are few, and nothing that this process starts inherits it.
    const fd = libc.socket(AF_UNIX, SOCK_DGRAM, 0)
    if (fd < 0) return false
    const bytes = Buffer.from(text)
    const sent = libc.sendto(fd, bytes, BigInt(bytes.length), MSG_DONTWAIT | MSG_NOSIGNAL, address, address.length)
    libc.close(fd)
    return Number(sent) === bytes.length
  }
}

function addressOf(path: string): Buffer {
  const address = Buffer.alloc(2 + Buffer.byteLength(path))
  if (new Uint8Array(new Uint16Array([AF_UNIX]).buffer)[0] === AF_UNIX) address.writeUInt16LE(AF_UNIX)
  else address.writeUInt16BE(AF_UNIX)
  address.write(path, 2)
  if (path.startsWith('@')) address[2] = 0
  return address
}

/** It finds the socket by the same variable. Whether it worked is not waited for. */
function byProgram(text: string): boolean {
  const { spawn } = process.getBuiltinModule('node:child_process')
  const child = spawn(PROGRAM, text.split('\n'), { stdio: 'ignore' })
  child.on('error', () => {})
  child.unref()
  return true
}

/** For MONOTONIC_USEC: microseconds of CLOCK_MONOTONIC, which systemd compares. */
export function monotonicMicroseconds(): string {
  return String(process.hrtime.bigint() / 1000n)
}
