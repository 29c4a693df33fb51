import { functionsOf } from './libc.ts'

const SOL_SOCKET = 1
const SO_REUSEPORT = 15

/**
 * Lets other sockets of this user share the port of a listening socket that was opened without that. False: this Node
 * or this system cannot.
 */
export function sharePort(fd: number): boolean {
  const libc = functionsOf({
    setsockopt: { arguments: ['i32', 'i32', 'i32', 'pointer', 'u32'], return: 'i32' },
  })
  if (libc === null || process.platform !== 'linux') return false
  const on = Buffer.alloc(4)
  on.writeInt32LE(1)
  return libc.setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, on, on.length) === 0
}
