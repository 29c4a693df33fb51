import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

/** A connected socket that the process which started this one has left to it. It keeps no process running. */
export function openDescriptor(fd: number): Duplex {
  const socket = new Socket({ fd, readable: true, writable: true })
  socket.unref()
  return socket
}
