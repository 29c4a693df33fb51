// An instance with a fault: a process of its own, so that it can be killed and stopped. `CONTROL` takes `/fault/hang`,
// and `/fault/none`.
import { createServer, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { type Fault, IDLE_CLOSE_MS, SLOW_FACTOR } from './fault.ts'

const port = Number(process.env.PORT)
const workMs = Number(process.env.WORK_MS)
let fault: Fault | 'none' = 'none'
/** Requests on each connection that have no answer yet. */
const running = new Map<Socket, number>()

const server = createServer((request, response) => {
  const { socket } = request
  running.set(socket, (running.get(socket) ?? 0) + 1)
  request.resume()
  request.on('end', () => {
    if (fault === 'hang') return
    if (fault === 'reset') return socket.resetAndDestroy()
    if (fault === 'status-503') {
      response.statusCode = 503
      return answer(socket, response)
    }
    setTimeout(() => answer(socket, response), fault === 'slow' ? workMs * SLOW_FACTOR : workMs)
  })
})

function answer(socket: Socket, response: ServerResponse): void {
  response.end('ok\n')
  running.set(socket, running.get(socket)! - 1)
  if (fault === 'idle-close') closeIdle(socket)
  else if (fault === 'accept-close') socket.destroySoon()
}

function closeIdle(socket: Socket): void {
  const { bytesRead } = socket
  setTimeout(() => {
    if (running.get(socket) === 0 && socket.bytesRead === bytesRead) socket.destroy()
  }, Math.random() * IDLE_CLOSE_MS)
}

server.on('connection', (socket: Socket) => {
  socket.on('error', () => {})
  socket.on('close', () => running.delete(socket))
  running.set(socket, 0)
  if (fault === 'accept-close') socket.destroy()
})
server.keepAliveTimeout = 600_000
server.requestTimeout = 0

createServer((request, response) => {
  fault = request.url!.split('/').at(-1) as typeof fault
  response.end()
  if (fault === 'accept-close') for (const [socket, count] of running) if (count === 0) socket.destroy()
}).listen(Number(process.env.CONTROL), '127.0.0.1', () =>
  server.listen(port, '127.0.0.1', 4096, () => console.log(`listens on ${port}`)),
)
