import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { start } from '../children.ts'
import { freePort } from '../ports.ts'
import { type Answer, waitUntil } from '../ready.ts'
import { type Asked, type Backends, type Load, type LoadResult, NO_BODY, type Traffic } from './traffic.ts'

/**
 * `path` of a load: as many bytes one way as go through, counted in MiB; or messages there and back, the next one when
 * the last is there.
 */
export const BULK = '/bulk'
export const PING = '/ping'
export const PING_BYTES = 64

const MIB = 1024 * 1024
const CHUNK = Buffer.alloc(256 * 1024, 's')

export const tcp: Traffic = { name: 'tcp', first: { path: PING, body: NO_BODY }, startBackends, ask, load }

async function startBackends(): Promise<Backends> {
  const script = join(import.meta.dirname, 'tcp-backend.ts')
  const ports = [await freePort(), await freePort(), await freePort()]
  const children = ports.map(port =>
    start('tcp-backend', { command: process.execPath, args: [script, `${port}`] }, null),
  )
  await Promise.all(children.map((child, index) => waitUntil(child, () => ask(ports[index]!, tcp.first, 1000), 10_000)))
  return { ports, children }
}

/** A message and its echo. */
function ask(port: number, _asked: Asked, timeoutMs = 5000): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    const message = Buffer.alloc(PING_BYTES, 'e')
    let got = 0
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error(`no echo within ${timeoutMs} ms`)))
    socket.on('error', reject)
    socket.on('data', chunk => {
      got += chunk.length
      if (got < PING_BYTES) return
      socket.destroy()
      resolve({ status: 200, bodyBytes: got })
    })
    socket.on('close', () => reject(new Error('the connection closed before the echo was whole')))
    socket.write(message)
  })
}

async function load({ port, path, connections, seconds }: Load): Promise<LoadResult> {
  const startedAt = performance.now()
  const one = path === BULK ? pour : ping
  const counts = await Promise.all(Array.from({ length: connections }, () => one(port, seconds * 1000)))
  const elapsed = (performance.now() - startedAt) / 1000
  const failures = counts.filter(count => count === null).length
  const requests = counts.reduce((sum: number, count) => sum + (count ?? 0), 0)
  return { requests, perSecond: requests / elapsed, failures }
}

/** MiB that the sink says it got; null: it said nothing. */
function pour(port: number, milliseconds: number): Promise<number | null> {
  return new Promise(resolve => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    let said = ''
    const until = performance.now() + milliseconds
    const go = () => {
      while (performance.now() < until) if (!socket.write(CHUNK)) return
      socket.off('drain', go)
      socket.end()
    }
    socket.on('connect', go).on('drain', go)
    socket.on('data', chunk => {
      said += chunk.toString()
    })
    socket.on('end', () => {
      socket.destroy()
      resolve(said === '' ? null : Number(said) / MIB)
    })
    socket.on('error', () => resolve(null))
  })
}

/** Messages that came back; null: the connection broke. */
function ping(port: number, milliseconds: number): Promise<number | null> {
  return new Promise(resolve => {
    const socket: Socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const message = Buffer.alloc(PING_BYTES, 'e')
    const until = performance.now() + milliseconds
    let got = 0
    let count = 0
    socket.on('connect', () => socket.write(message))
    socket.on('data', chunk => {
      got += chunk.length
      if (got < PING_BYTES) return
      got -= PING_BYTES
      count++
      if (performance.now() < until) return void socket.write(message)
      socket.destroy()
      resolve(count)
    })
    socket.on('error', () => resolve(null))
    socket.on('end', () => resolve(null))
  })
}
