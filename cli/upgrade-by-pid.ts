import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** What became of an upgrade that a signal asked for, as far as /proc shows it. */
export interface Seen {
  readonly ok: boolean
  /** The process that serves now. */
  readonly pid: number
  readonly text: string
}

const LOOK_MS = 50
/** So long the proxy may take to begin. */
const BEGIN_MS = 5_000
const IN_THE_LOG = 'the log of the proxy says why'

/**
 * For a proxy without an admin port: SIGUSR2, and then a look at which of both processes listens. The reasons of a
 * failure are in the log of the proxy only.
 */
export async function upgradeByPid(pid: number, patienceMs: number): Promise<Seen> {
  const failed = (text: string): Seen => ({ ok: false, pid, text })
  if (process.platform !== 'linux') return failed('--pid needs /proc: use --admin')
  const before = socketsOf(pid)
  if (before === null) return failed(`there is no process ${pid}, or it belongs to another user`)
  if (!isProxy(pid)) return failed(`process ${pid} is no outrigger proxy, so it gets no signal`)
  const known = new Set(childrenOf(pid))
  process.kill(pid, 'SIGUSR2')
  const begun = performance.now()
  let successor: number | null = null
  for (;;) {
    await sleep(LOOK_MS)
    const now = performance.now() - begun
    successor ??= childrenOf(pid).find(child => !known.has(child) && isProxy(child)) ?? null
    if (successor === null) {
      if (now > BEGIN_MS) return failed(`process ${pid} started no other one: ${IN_THE_LOG}`)
      continue
    }
    const [old, next] = [socketsOf(pid), socketsOf(successor)]
    if (next === null) return failed(`process ${successor} ended before it was ready: ${IN_THE_LOG}`)
    // The old one listens no longer, and the other one does.
    const listening = listeningSockets(pid)
    if (old === null || !old.some(inode => listening.has(inode)))
      return { ok: true, pid: successor, text: `process ${successor} serves; ${pid} finishes what it had begun` }
    if (now > patienceMs) return failed(`process ${successor} was not ready in time: ${IN_THE_LOG}`)
  }
}

/** By its command line, as the kernel has it. */
function isProxy(pid: number): boolean {
  const words = textOf(`/proc/${pid}/cmdline`).split('\0')
  return words.includes('proxy') && words.some(word => /(^|\/)outrigger(\.js)?$/.test(word))
}

function childrenOf(pid: number): number[] {
  return textOf(`/proc/${pid}/task/${pid}/children`).trim().split(' ').filter(Boolean).map(Number)
}

/** The inodes of its sockets; null: it is gone. */
function socketsOf(pid: number): string[] | null {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap(fd => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? []
      } catch {
        return []
      }
    })
  } catch {
    return null
  }
}

/** The inodes of all TCP sockets that listen where the process is. */
function listeningSockets(pid: number): ReadonlySet<string> {
  const lines = ['tcp', 'tcp6'].flatMap(table => textOf(`/proc/${pid}/net/${table}`).split('\n'))
  return new Set(lines.flatMap(line => (/^\s*\d+: \S+ \S+ 0A /.test(line) ? [line.trim().split(/\s+/)[9]!] : [])))
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
