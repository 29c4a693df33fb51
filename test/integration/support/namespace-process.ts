import { createSocket } from 'node:dgram'
import { connect, createServer, type Socket } from 'node:net'

/**
 * Runs in a network namespace of a test and does what the test says over IPC: listens, connects, asks, as any user.
 * Each connection is told, as one line of JSON, where it arrived and where it was meant to go; then it is an echo.
 */

export type Order =
  | { readonly do: 'listen'; readonly host: string; readonly port: number }
  | { readonly do: 'answer-udp'; readonly host: string; readonly port: number; readonly uid?: number }
  | ({ readonly do: 'connect'; readonly keep?: string } & Call)
  | ({ readonly do: 'ask-udp' } & Call)
  | { readonly do: 'say'; readonly on: string; readonly text: string }

export interface Call {
  readonly host: string
  readonly port: number
  readonly uid?: number
  readonly gid?: number
  readonly localPort?: number
}

interface Ffi {
  dlopen(library: null, functions: object): { functions: Record<string, (...args: unknown[]) => number> }
}

const ffi = (process.getBuiltinModule as (name: string) => unknown)('node:ffi') as Ffi
const { functions: libc } = ffi.dlopen(null, {
  getsockopt: { arguments: ['i32', 'i32', 'i32', 'pointer', 'pointer'], return: 'i32' },
})

/** SO_ORIGINAL_DST; null: the connection was not redirected. */
function originalOf(socket: Socket): string | null {
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle
  const isIPv4 = socket.remoteFamily === 'IPv4' || socket.remoteAddress?.startsWith('::ffff:') === true
  const value = Buffer.alloc(28)
  const length = Buffer.alloc(4)
  length.writeInt32LE(isIPv4 ? 16 : 28)
  if (libc.getsockopt!(fd, isIPv4 ? 0 : 41, 80, value, length) !== 0) return null
  const port = value.readUInt16BE(2)
  if (isIPv4) return `${[...value.subarray(4, 8)].join('.')}:${port}`
  const groups = Array.from({ length: 8 }, (_, i) => value.readUInt16BE(8 + i * 2).toString(16))
  return `${new URL(`http://[${groups.join(':')}]`).hostname}:${port}`
}

const kept = new Map<string, Socket>()

const deeds = {
  listen: ({ host, port }: Order & { do: 'listen' }) =>
    new Promise<string>((done, fail) => {
      const server = createServer(socket => {
        socket.on('error', () => {})
        const original = originalOf(socket)
        const own = `${socket.localAddress!.replace('::ffff:', '')}:${port}`
        const isRedirected = original !== null && original.replace(/[[\]]/g, '') !== own
        socket.write(`${JSON.stringify({ at: port, meant: isRedirected ? original : null })}\n`)
        socket.pipe(socket)
      })
      server.once('error', fail)
      server.listen({ host, port }, () => done('listens'))
    }),
  'answer-udp': ({ host, port, uid = 0 }: Order & { do: 'answer-udp' }) =>
    as(uid, 0, () => {
      const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
      socket.on('message', (_, from) => socket.send(`at ${port}`, from.port, from.address))
      return new Promise<string>((done, fail) => {
        socket.once('error', fail)
        socket.bind(port, host, () => done('answers'))
      })
    }),
  connect: ({ host, port, uid = 0, gid = 0, localPort, keep }: Order & { do: 'connect' }) =>
    as(uid, gid, () => {
      const socket = connect({ host, port, ...(localPort === undefined ? {} : { localPort }) })
      if (keep !== undefined) kept.set(keep, socket)
      return line(socket).finally(() => keep === undefined && socket.destroy())
    }),
  'ask-udp': ({ host, port, uid = 0, gid = 0, localPort }: Order & { do: 'ask-udp' }) =>
    as(uid, gid, () => {
      const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
      return new Promise<string>(done => {
        const late = setTimeout(() => done('no answer'), 2000)
        socket.once('error', error => done((error as NodeJS.ErrnoException).code ?? error.message))
        socket.once('message', (text, from) => {
          clearTimeout(late)
          done(`${text} from ${from.address}:${from.port}`)
        })
        socket.bind(localPort ?? 0, () => socket.send('?', port, host))
      }).finally(() => socket.close())
    }),
  say: ({ on, text }: Order & { do: 'say' }) => {
    const socket = kept.get(on)!
    const answer = line(socket)
    socket.write(`${text}\n`)
    return answer
  },
}

/** A socket belongs to who made it, however the process goes on. */
async function as<Result>(uid: number, gid: number, work: () => Promise<Result>): Promise<Result> {
  process.setegid!(gid)
  process.seteuid!(uid)
  try {
    return await work()
  } finally {
    process.seteuid!(0)
    process.setegid!(0)
  }
}

/** The next line, or the code of what went wrong. */
function line(socket: Socket): Promise<string> {
  return new Promise(done => {
    const late = setTimeout(() => end('no answer'), 3000)
    const end = (text: string) => {
      clearTimeout(late)
      socket.off('data', onData).off('error', onError).off('close', onClose)
      socket.on('error', () => {})
      done(text)
    }
    const onData = (chunk: Buffer) => end(chunk.toString().trim())
    const onError = (error: NodeJS.ErrnoException) => end(error.code ?? error.message)
    const onClose = () => end('closed')
    socket.once('data', onData).once('error', onError).once('close', onClose)
  })
}

// One after the other: the user belongs to the whole process.
let before: Promise<unknown> = Promise.resolve()
process.on('message', ({ id, order }: { id: number; order: Order }) => {
  before = before
    .then(() => (deeds[order.do] as (order: Order) => Promise<string>)(order))
    .then(
      result => process.send!({ id, result }),
      (error: Error) => process.send!({ id, result: `error: ${error.message}` }),
    )
})
process.on('disconnect', () => process.exit())
