import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Child } from './children.ts'
import { ResponseReader } from './response-reader.ts'

export interface Answer {
  readonly status: number
  readonly bodyBytes: number
}

/** One request on a connection of its own. */
export function ask(
  port: number,
  path: string,
  options: { method?: string; body?: Buffer; timeoutMs?: number } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', body = Buffer.alloc(0), timeoutMs = 5000 } = options
    const reader = new ResponseReader()
    const socket = connect(port, '127.0.0.1')
    const fail = (error: Error) => {
      socket.destroy()
      reject(error)
    }
    socket.setTimeout(timeoutMs, () => fail(new Error(`no answer within ${timeoutMs} ms`)))
    socket.on('error', fail)
    socket.on('close', () => reject(new Error('the connection closed before the answer was whole')))
    socket.on('data', (chunk: Buffer) => {
      try {
        if (!reader.feed(chunk)) return
        resolve({ status: reader.status, bodyBytes: reader.bodyBytes })
        socket.destroy()
      } catch (error) {
        fail(error as Error)
      }
    })
    const length = body.length > 0 ? `Content-Length: ${body.length}\r\n` : ''
    socket.write(Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\nHost: bench\r\n${length}\r\n`), body]))
  })
}

/**
 * Resolves once what is asked is answered with 200; a program that ends or takes too long is an error with its last
 * words.
 */
export async function waitUntil(child: Child, asking: () => Promise<Answer>, timeoutMs: number): Promise<void> {
  const giveUpAt = performance.now() + timeoutMs
  let why = ''
  while (performance.now() < giveUpAt) {
    if (child.hasExited()) throw new Error(`${child.name} ended instead of starting:\n${child.lastWords()}`)
    try {
      const { status } = await asking()
      if (status === 200) return
      why = `it answered ${status}`
    } catch (error) {
      why = (error as Error).message
    }
    await sleep(2) // short, because start-up time is one of the figures
  }
  throw new Error(`${child.name} was not ready after ${timeoutMs} ms (${why}):\n${child.lastWords()}`)
}
