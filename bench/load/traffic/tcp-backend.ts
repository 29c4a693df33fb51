import { createServer, Socket } from 'node:net'

/**
 * A server of bytes, in a process of its own. The first byte of a connection says what it does: `e` sends everything
 * back, `s` only counts, and says how much it was when the caller has ended. Reads go into one buffer, so that it costs
 * as little as a sink in JavaScript can.
 */
const ECHO = 'e'.charCodeAt(0)
const buffer = Buffer.allocUnsafeSlow(512 * 1024)

const server = createServer({ pauseOnConnect: true, noDelay: true, allowHalfOpen: true }, accepted => {
  const holder = accepted as unknown as { _handle: object | null }
  const handle = holder._handle
  holder._handle = null
  let count = 0
  let echoes = false
  const callback = (length: number) => {
    if (count === 0) echoes = buffer[0] === ECHO
    count += length
    if (echoes) socket.write(Buffer.from(buffer.subarray(0, length)))
    return true
  }
  const socket: Socket = new Socket({
    handle,
    allowHalfOpen: true,
    onread: { buffer, callback },
  } as unknown as ConstructorParameters<typeof Socket>[0])
  socket.on('end', () => socket.end(echoes ? '' : String(count)))
  socket.on('error', () => socket.destroy())
  socket.resume()
})
server.listen(Number(process.argv[2]), '127.0.0.1', 4096)
