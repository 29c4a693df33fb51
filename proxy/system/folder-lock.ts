import { closeSync, lstatSync, mkdirSync, openSync, rmSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { printable } from '../core/printable.ts'

/** A folder that one process uses at a time. */
export interface FolderLock {
  /** Takes or keeps the lock. Resolves with its present owner; empty: this process, or the file system cannot tell. */
  claim(): Promise<string>
  release(): void
}

const SOCKET = 'in-use'
/** The longest address of a Unix socket is 107 bytes. */
const LONGEST_PATH = 100
const ANSWER_MS = 1_000
const MOST_ANSWER = 200

/**
 * The lock is a socket in the folder on which its owner listens. The kernel closes it with the process, so a stale lock
 * never counts as in use, and containers that share the folder recognise each other although they cannot compare
 * process ids. `about`: the owner's answer to processes that find the folder taken.
 */
export function folderLock(folder: string, about: string): FolderLock {
  let server: Server | null = null
  let signature = ''
  let handle: number | null = null

  function path(): string {
    const direct = join(folder, SOCKET)
    if (Buffer.byteLength(direct) <= LONGEST_PATH || process.platform !== 'linux') return direct
    handle ??= openSync(folder, 'r')
    return `/proc/self/fd/${handle}/${SOCKET}`
  }

  function release(): void {
    // Closing removes the file of that name, which may be another process's socket by now.
    if (isOurs()) server?.close()
    server = null
    if (handle !== null) closeSync(handle)
    handle = null
  }

  function isOurs(): boolean {
    try {
      return server !== null && signatureOf(join(folder, SOCKET)) === signature
    } catch {
      return false
    }
  }

  async function take(): Promise<string> {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    for (let attempts = 0; attempts < 2; attempts++) {
      const opened = await listenOn(path(), about)
      if (typeof opened !== 'string') {
        server = opened
        signature = signatureOf(join(folder, SOCKET))
        return ''
      }
      if (opened !== 'EADDRINUSE') return ''
      const owner = await ask(path())
      if (owner !== null) return owner
      rmSync(join(folder, SOCKET), { force: true })
    }
    return ''
  }

  return {
    async claim() {
      if (isOurs()) return ''
      release()
      try {
        return await take()
      } catch {
        // Errors of the folder are reported when something is written there.
        return ''
      }
    },
    release,
  }
}

function signatureOf(path: string): string {
  const { ino, ctimeMs } = lstatSync(path)
  return `${ino} ${ctimeMs}`
}

/** Or the system's error code. */
function listenOn(path: string, about: string): Promise<Server | string> {
  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.end(about)
  })
  server.unref()
  return new Promise(resolve => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
    server.listen(path, () => resolve(server))
  })
}

/** The owner's answer; null: no process listens there. */
function ask(path: string): Promise<string | null> {
  return new Promise(resolve => {
    const socket = connect(path)
    let said = ''
    const finish = (owner: string | null) => {
      socket.destroy()
      resolve(owner)
    }
    const known = () => finish(printable(said.slice(0, MOST_ANSWER)) || 'another process')
    socket.setTimeout(ANSWER_MS, known)
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => {
      said += text
      if (said.length > MOST_ANSWER) known()
    })
    socket.once('end', known)
    socket.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNREFUSED' || error.code === 'ENOENT' ? finish(null) : known(),
    )
  })
}
