import { connect, type Socket } from 'node:net'
import { JuteReader, JuteWriter, readStat, type ZnodeStat } from './jute.ts'

/**
 * One connection to one server of a ZooKeeper ensemble, with a session of its own. Whoever needs another makes another
 * and reads anew: so an expired session, a restarted server and a lost connection are one case. Reads and watches are
 * all that is needed here, and so are writes with a condition; docs/decisions/0051-mesh-view.md says why no library.
 */
export interface ZooKeeperConnection {
  /** Null: there is no such znode. */
  exists(path: string, watch: boolean): Promise<ZnodeStat | null>
  read(path: string): Promise<{ readonly data: Buffer; readonly stat: ZnodeStat } | null>
  /** Names without their path; null: there is no such znode. */
  children(path: string, watch: boolean): Promise<readonly string[] | null>
  /** Resolves with its path: a sequential one has its number in it. False: it is there already. */
  create(path: string, data: Uint8Array, sequential: boolean): Promise<string | false>
  /** Null: its version is another one, or it has gone. */
  write(path: string, data: Uint8Array, version: number): Promise<ZnodeStat | null>
  remove(path: string): Promise<void>
  close(): void
}

export interface ZooKeeperOptions {
  readonly host: string
  readonly port: number
  /** What the server is asked for; it may give another one. */
  readonly sessionMs: number
  /** `user:password` of the digest scheme; null: none. */
  readonly auth: string | null
  /** A watched znode has changed; the watch is over with it. */
  readonly changed: (path: string) => void
  /** Called once, unless `close` was. All calls that wait reject with the same reason. */
  readonly lost: (reason: string) => void
}

/** The longest answer that is taken: ZooKeeper's own bound is 1 MiB for data, and more for lists of children. */
const MAX_FRAME = 4 * 1024 * 1024
const MAX_WAITING = 4096

const XID_WATCH = -1
const XID_PING = -2
const XID_AUTH = -4
const OP = { create: 1, remove: 2, exists: 3, read: 4, write: 5, ping: 11, auth: 100, children: 8, close: -11 } as const
const NO_NODE = -101
const BAD_VERSION = -103
const NODE_EXISTS = -110
const PERSISTENT = 0
const PERSISTENT_SEQUENTIAL = 2
const ALL = 31

const ERRORS: Readonly<Record<number, string>> = {
  [NO_NODE]: 'a znode above it is missing',
  [-102]: 'no permission: policies.zookeeper.auth names no user that may',
  [-115]: 'the server refuses policies.zookeeper.auth',
  [-112]: 'the session has expired',
}

interface Waiting {
  readonly take: (error: number, reader: JuteReader) => void
  readonly fail: (reason: Error) => void
}

/** Resolves once there is a session. Rejects with one line for people. */
export function connectZooKeeper(options: ZooKeeperOptions): Promise<ZooKeeperConnection> {
  const { host, port, auth } = options
  let { sessionMs } = options
  const socket: Socket = connect({ host, port, noDelay: true })
  const waiting = new Map<number, Waiting>()
  let pending: Buffer = Buffer.alloc(0)
  let session = false
  let over = false
  let xid = 0
  let heardAt = performance.now()
  const opened = Promise.withResolvers<ZooKeeperConnection>()
  // A server that is silent for two thirds of a session has lost us, as in ZooKeeper's own clients.
  const watchdog = setInterval(
    () => {
      const silent = performance.now() - heardAt
      if (silent > (sessionMs * 2) / 3) end(`${host}:${port} is silent for ${Math.round(silent)} ms`)
      else if (session) socket.write(new JuteWriter().int(XID_PING).int(OP.ping).frame())
    },
    Math.max(100, options.sessionMs / 6),
  )
  watchdog.unref()

  socket.on('connect', () => {
    const hello = new JuteWriter().int(0).long(0n).int(sessionMs).long(0n).buffer(Buffer.alloc(16)).bool(false)
    socket.write(hello.frame())
  })
  socket.on('data', (chunk: Buffer) => {
    heardAt = performance.now()
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
    try {
      while (!over && pending.length >= 4) {
        const length = pending.readInt32BE(0)
        if (length < 0 || length > MAX_FRAME) return end(`${host}:${port} sent a message of ${length} bytes`)
        if (pending.length < length + 4) return
        const frame = pending.subarray(4, length + 4)
        pending = pending.subarray(length + 4)
        receive(new JuteReader(frame))
      }
    } catch (error) {
      end(`${host}:${port} does not speak ZooKeeper's protocol: ${(error as Error).message}`)
    }
  })
  socket.on('error', error => end(`${host}:${port}: ${(error as NodeJS.ErrnoException).code ?? error.message}`))
  socket.on('close', () => end(session ? `${host}:${port} closed the connection` : `${host}:${port} takes no session`))

  function receive(reader: JuteReader): void {
    if (!session) return begin(reader)
    const id = reader.int()
    reader.long()
    const error = reader.int()
    if (id === XID_PING) return
    if (id === XID_AUTH) {
      if (error !== 0) end(`${host}:${port}: ${wording(error)}`)
      return
    }
    if (id === XID_WATCH) {
      reader.int()
      reader.int()
      options.changed(reader.text())
      return
    }
    const call = waiting.get(id)
    waiting.delete(id)
    call?.take(error, reader)
  }

  function begin(reader: JuteReader): void {
    reader.int()
    const given = reader.int()
    if (given <= 0) return end(`${host}:${port} takes no session`)
    sessionMs = given
    session = true
    if (auth !== null) {
      const message = new JuteWriter().int(XID_AUTH).int(OP.auth).int(0).text('digest').buffer(Buffer.from(auth))
      socket.write(message.frame())
    }
    opened.resolve(connection)
  }

  function end(reason: string): void {
    if (over) return
    over = true
    clearInterval(watchdog)
    socket.destroy()
    const error = new Error(reason)
    for (const { fail } of waiting.values()) fail(error)
    waiting.clear()
    if (session) options.lost(reason)
    else opened.reject(error)
  }

  function call<T>(
    op: number,
    path: string,
    fill: (message: JuteWriter) => JuteWriter,
    take: (reader: JuteReader) => T,
    expected: Readonly<Record<number, T>> = {},
  ): Promise<T> {
    if (over) return Promise.reject(new Error('the connection is closed'))
    if (waiting.size >= MAX_WAITING) return Promise.reject(new Error('too much waits for ZooKeeper'))
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const id = ++xid
    waiting.set(id, {
      fail: reject,
      take(error, reader) {
        if (error === 0) resolve(take(reader))
        else if (error in expected) resolve(expected[error]!)
        else reject(new Error(`znode ${path}: ${wording(error)}`))
      },
    })
    socket.write(fill(new JuteWriter().int(id).int(op).text(path)).frame())
    return promise
  }

  const acl = (message: JuteWriter) =>
    auth === null ? message.int(1).int(ALL).text('world').text('anyone') : message.int(1).int(ALL).text('auth').text('')

  const connection: ZooKeeperConnection = {
    exists: (path, watch) =>
      call<ZnodeStat | null>(OP.exists, path, message => message.bool(watch), readStat, { [NO_NODE]: null }),
    read: path =>
      call<{ data: Buffer; stat: ZnodeStat } | null>(
        OP.read,
        path,
        message => message.bool(false),
        reader => ({ data: Buffer.from(reader.buffer()), stat: readStat(reader) }),
        { [NO_NODE]: null },
      ),
    children: (path, watch) =>
      call<readonly string[] | null>(
        OP.children,
        path,
        message => message.bool(watch),
        reader => reader.texts(),
        { [NO_NODE]: null },
      ),
    create: (path, data, sequential) =>
      call<string | false>(
        OP.create,
        path,
        message => acl(message.buffer(data)).int(sequential ? PERSISTENT_SEQUENTIAL : PERSISTENT),
        reader => reader.text(),
        { [NODE_EXISTS]: false },
      ),
    write: (path, data, version) =>
      call<ZnodeStat | null>(OP.write, path, message => message.buffer(data).int(version), readStat, {
        [NO_NODE]: null,
        [BAD_VERSION]: null,
      }),
    async remove(path) {
      await call<null>(
        OP.remove,
        path,
        message => message.int(-1),
        () => null,
        { [NO_NODE]: null },
      )
    },
    close() {
      if (over) return
      over = true
      clearInterval(watchdog)
      for (const { fail } of waiting.values()) fail(new Error('the connection is closed'))
      waiting.clear()
      if (session) socket.end(new JuteWriter().int(++xid).int(OP.close).frame())
      else socket.destroy()
    },
  }
  return opened.promise
}

function wording(error: number): string {
  return ERRORS[error] ?? `error ${error}`
}
