import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { firstRequest, Http2Reader, settingsAck } from './http2-reader.ts'
import { ResponseReader } from './response-reader.ts'
import type { TrafficName } from './traffic/traffic.ts'

const AT_ONCE = 50 // connections opening at a time: a burst of a thousand would measure the accept queue
const PATIENCE_MS = 20_000

/** Connections that each have done one request; resolves when all are idle again. Destroy them to end it. */
export async function idleConnections(port: number, count: number, traffic: TrafficName): Promise<readonly Socket[]> {
  const converse = traffic === 'http1' ? http1 : http2
  const sockets: Socket[] = []
  try {
    while (sockets.length < count) {
      const batch = Array.from({ length: Math.min(AT_ONCE, count - sockets.length) }, () =>
        usedConnection(port, sockets, converse),
      )
      await Promise.all(batch)
    }
  } catch (error) {
    for (const socket of sockets) socket.destroy()
    throw error
  }
  return sockets
}

/** Puts its socket into `sockets` at once, so that a failure elsewhere can close it. */
function usedConnection(port: number, sockets: Socket[], converse: (socket: Socket) => Conversation): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(conversation.request))
    const conversation = converse(socket)
    sockets.push(socket)
    const timer = setTimeout(() => reject(new Error('a connection got no answer')), PATIENCE_MS)
    const settle = (settleIt: () => void) => {
      clearTimeout(timer)
      settleIt()
    }
    socket.on('error', error => settle(() => reject(error)))
    socket.on('close', () => settle(() => reject(new Error('the proxy closed a connection it should keep'))))
    socket.on('data', (chunk: Buffer) => {
      try {
        if (conversation.feed(chunk)) settle(resolve)
      } catch (error) {
        socket.destroy(error as Error)
      }
    })
  })
}

/** One request; `feed` says when its answer is whole, and throws when it is none. */
interface Conversation {
  readonly request: string | Buffer
  feed(chunk: Buffer): boolean
}

function http1(): Conversation {
  const reader = new ResponseReader()
  return {
    request: 'GET / HTTP/1.1\r\nHost: bench\r\n\r\n',
    feed(chunk) {
      const isWhole = reader.feed(chunk)
      if (isWhole && reader.status !== 200) throw new Error(`a connection was answered ${reader.status}`)
      return isWhole
    },
  }
}

function http2(socket: Socket): Conversation {
  const reader = new Http2Reader()
  let acknowledged = false
  return {
    request: firstRequest('/small'),
    feed(chunk) {
      reader.feed(chunk)
      if (reader.mustAcknowledge && !acknowledged) {
        acknowledged = true
        socket.write(settingsAck)
      }
      return reader.isWhole
    },
  }
}

export interface SlowBodies {
  /** Whole bodies read so far, and whether a reader failed. */
  readonly bodies: number
  readonly failure: Error | null
  stop(): void
}

/**
 * So many connections, each asking for `path` again and again and taking the body at `bytesPerSecond`: the proxy gets
 * it from a fast upstream and must hold what the reader has not taken, or make the upstream wait.
 */
export function slowReaders(port: number, count: number, path: string, bytesPerSecond: number): SlowBodies {
  const sockets: Socket[] = []
  let isOver = false
  const state = {
    bodies: 0,
    failure: null as Error | null,
    stop() {
      isOver = true
      for (const socket of sockets) socket.destroy()
    },
  }
  for (let i = 0; i < count; i++) {
    const reader = new ResponseReader()
    const ask = () => socket.write(`GET ${path} HTTP/1.1\r\nHost: bench\r\n\r\n`)
    const socket = connect(port, '127.0.0.1', ask)
    sockets.push(socket)
    const fail = (error: Error) => {
      if (!isOver) state.failure ??= error
    }
    socket.on('error', fail)
    socket.on('close', () => fail(new Error('the proxy closed the connection of a slow reader')))
    socket.on('data', (chunk: Buffer) => {
      if (feed(reader, socket, chunk)) {
        state.bodies++
        ask()
      }
      socket.pause()
      // Not read for as long as a reader of this speed needs for what it just took.
      void sleep((chunk.length / bytesPerSecond) * 1000).then(() => socket.resume())
    })
  }
  return state
}

/** What is no proper response ends the connection with that error. */
function feed(reader: ResponseReader, socket: Socket, chunk: Buffer): boolean {
  try {
    return reader.feed(chunk)
  } catch (error) {
    socket.destroy(error as Error)
    return false
  }
}
