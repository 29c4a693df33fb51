import { fstatSync } from 'node:fs'
import { Socket } from 'node:net'

/** A socket that this process was started with, on which both sides write lines. */
export interface InheritedLines {
  write(line: string): void
  /** Nothing more is read, and another process may read on: the descriptor for it. */
  pause(): number
  resume(): void
}

/** A peer that writes no end of line must not fill our memory. */
const LONGEST_LINE = 64 * 1024
const READ_BYTES = 4 * 1024

/** `closed`: the other side has ended. Null: there is no such socket. The socket does not keep this process alive. */
export function inheritedLines(fd: number, heard: (line: string) => void, closed: () => void): InheritedLines | null {
  if (!isSocket(fd)) return null
  let rest = ''
  const decoder = new TextDecoder()
  // With a buffer of ours `pause` stops reading at once. Else what comes for another process would be read here first.
  const onread = {
    buffer: Buffer.alloc(READ_BYTES),
    callback(length: number, buffer: Uint8Array): boolean {
      const lines = (rest + decoder.decode(buffer.subarray(0, length), { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      if (rest.length > LONGEST_LINE) rest = ''
      for (const line of lines) heard(line)
      return true
    },
  }
  const socket = new Socket({ fd, readable: true, writable: true, onread })
  socket.on('error', () => {})
  socket.once('close', closed)
  socket.unref()
  return {
    write: line => void socket.write(`${line}\n`),
    pause() {
      socket.pause()
      return fd
    },
    resume: () => void socket.resume(),
  }
}

function isSocket(fd: number): boolean {
  try {
    return fstatSync(fd).isSocket()
  } catch {
    return false
  }
}
