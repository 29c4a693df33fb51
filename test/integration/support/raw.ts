import { connect, createServer, type Server, type Socket } from 'node:net'
import { afterAll } from 'vitest'
import { freePort } from './ports.ts'
import { until } from './until.ts'

/** One end of a connection, byte by byte. */
export interface RawEnd extends Disposable {
  readonly socket: Socket
  /** All that came, as latin1. */
  received(): string
  send(text: string): void
  /** Resolves once `text` has come. */
  sees(text: string): Promise<string>
  /** The peer said that it sends no more. */
  readonly ended: Promise<void>
  /** The connection is over: `reset` when the peer cut it off, `end` when it closed in order. */
  readonly closed: Promise<'end' | 'reset'>
}

function rawEnd(socket: Socket): RawEnd {
  let received = ''
  let reset = false
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1')
  })
  socket.on('error', () => {
    reset = true
  })
  const ended = new Promise<void>(done => socket.once('end', done))
  const closed = new Promise<'end' | 'reset'>(done => socket.once('close', () => done(reset ? 'reset' : 'end')))
  return {
    socket,
    received: () => received,
    send: text => void socket.write(text, 'latin1'),
    async sees(text) {
      await until(`${JSON.stringify(text)} in ${JSON.stringify(received)}`, () => received.includes(text)).catch(() => {
        throw new Error(`${JSON.stringify(text)} did not come, but ${JSON.stringify(received.slice(0, 1000))}`)
      })
      return received
    },
    ended,
    closed,
    [Symbol.dispose]() {
      socket.destroy()
    },
  }
}

/** A caller. `allowHalfOpen`: it goes on sending after the other side has ended. */
export function rawClient(port: number): Promise<RawEnd> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => {
      socket.off('error', reject)
      resolve(rawEnd(socket))
    })
    socket.once('error', reject)
  })
}

/** Sends all at once and gives back all that came until the other side ended or cut. */
export async function exchangeRaw(port: number, text: string): Promise<string> {
  using client = await rawClient(port)
  client.send(text)
  await Promise.race([client.ended, client.closed])
  return client.received()
}

export interface RawServer {
  readonly port: number
  readonly address: string
  readonly connections: readonly RawEnd[]
  /** All bytes of all connections. */
  received(): string
  /** The next connection that comes, or came and was not asked for yet. */
  next(): Promise<RawEnd>
}

const servers: { readonly server: Server; readonly connections: readonly RawEnd[] }[] = []
afterAll(() => {
  for (const { server, connections } of servers) {
    server.close()
    for (const { socket } of connections) socket.destroy()
  }
})

/** An upstream of which the test says each byte. `onConnection` may answer by itself. */
export async function rawServer(onConnection: (end: RawEnd) => void = () => {}): Promise<RawServer> {
  const connections: RawEnd[] = []
  let given = 0
  const server = createServer({ allowHalfOpen: true }, socket => {
    const end = rawEnd(socket)
    connections.push(end)
    onConnection(end)
  })
  const port = await freePort()
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))
  servers.push({ server, connections })
  return {
    port,
    address: `127.0.0.1:${port}`,
    connections,
    received: () => connections.map(end => end.received()).join(''),
    next: () => until('a connection to the upstream', () => given < connections.length && connections[given++]!),
  }
}
