import type { Duplex } from 'node:stream'

/** JSON values, one a line, over a stream between two processes of this program. */
export interface JsonLines {
  send(value: object): void
  close(): void
}

/** The endpoints and policies of the largest mesh take less. */
const MAX_BYTES = 128 * 1024 * 1024
const NEWLINE = 10

/** `closed`: once, also where the other side says what is no JSON, or too much. */
export function jsonLines(stream: Duplex, take: (value: unknown) => void, closed: () => void): JsonLines {
  let parts: Buffer[] = []
  let size = 0
  let isOver = false
  const end = () => {
    if (isOver) return
    isOver = true
    stream.destroy()
    closed()
  }

  function line(bytes: Buffer): void {
    const whole = parts.length === 0 ? bytes : Buffer.concat([...parts, bytes])
    parts = []
    size = 0
    let value: unknown
    try {
      value = JSON.parse(whole.toString())
    } catch {
      return end()
    }
    take(value)
  }

  stream.on('data', (chunk: Buffer) => {
    let rest = chunk
    for (let at = rest.indexOf(NEWLINE); at !== -1 && !isOver; at = rest.indexOf(NEWLINE)) {
      line(rest.subarray(0, at))
      rest = rest.subarray(at + 1)
    }
    if (isOver || rest.length === 0) return
    parts.push(rest)
    size += rest.length
    if (size > MAX_BYTES) end()
  })
  stream.on('error', end)
  stream.on('end', end)
  stream.on('close', end)
  return {
    send(value) {
      if (!isOver) stream.write(`${JSON.stringify(value)}\n`)
    },
    close: end,
  }
}
