/** The answer to a Sec-WebSocket-Key (RFC 6455 section 4.2.2). */
export function acceptOf(key: string): string {
  // Loaded with the first WebSocket: 5 ms that a start need not take.
  const { createHash } = process.getBuiltinModule('node:crypto')
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
}
