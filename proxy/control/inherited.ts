import { writeSync } from 'node:fs'
import type { ListenerSpec } from '../../mesh-config/snapshot.ts'
import type { ListeningSocket } from '../core/channel.ts'
import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import { openDescriptor } from '../system/inherited-socket.ts'
import { type HandedParts, partsOf } from './handed.ts'
import { jsonLines } from './json-lines.ts'

/**
 * The variable by which a process tells its successor what it leaves to it: `Inheritance` as JSON. The successor's
 * side of what control/successor.ts begins.
 */
export const VARIABLE = 'OUTRIGGER_LISTENERS'
export const INHERITANCE = 1

export interface Inheritance {
  readonly version: number
  /** Of the process that leaves it. */
  readonly pid: number
  /** The descriptor of the socket on which both talk. */
  readonly link: number
  readonly listeners: readonly InheritedListener[]
}

export interface InheritedListener extends ListeningSocket {
  /** Other sockets may share the port (SO_REUSEPORT). */
  readonly shared: boolean
}

/** The process before this one, which serves until this one does. */
export interface Predecessor {
  readonly listeners: readonly InheritedListener[]
  /** What it has learnt up to now. */
  handOver(log: Log): Promise<HandedParts>
  /** This process ends, for these reasons; the other one goes on. */
  failed(reasons: readonly string[]): void
  /**
   * Everything is open here: resolves when the other process has let go of what only one can have, or is gone. Null:
   * it is gone, or did not say.
   */
  ready(facts: ReadyFacts): Promise<TakenOver | null>
  /** Its process id while it finishes what it had begun; null: it has ended. */
  drains(): number | null
}

export interface ReadyFacts {
  readonly version: string
  readonly readyMs: number
  /** The id of what this process registers; empty: nothing. */
  readonly registers: string
}

export interface TakenOver {
  /** The registration that stands. Null: there is none. */
  readonly registration: { readonly definition: string; readonly status: string } | null
}

/** An answer takes milliseconds; where none comes there is nothing to be had. */
const ANSWER_MS = 5_000

/** Null: no process leaves anything to this one. Throws where it does and this one cannot take it. */
export function predecessorOf(env: NodeJS.ProcessEnv, clock: Clock): Predecessor | null {
  const text = env[VARIABLE]
  // Nothing that this process starts inherits it.
  delete env[VARIABLE]
  if (text === undefined || text === '') return null
  const { pid, link, listeners } = inheritanceOf(text)
  let waiting: ((message: Readonly<Record<string, unknown>> | null) => void) | null = null
  let isGone = false
  const lines = jsonLines(
    openDescriptor(link),
    message => waiting?.(message as Readonly<Record<string, unknown>>),
    () => {
      isGone = true
      waiting?.(null)
    },
  )

  function ask(question: object): Promise<Readonly<Record<string, unknown>> | null> {
    if (isGone) return Promise.resolve(null)
    return new Promise(resolve => {
      const late = clock.timer(() => waiting?.(null))
      waiting = message => {
        waiting = null
        late.cancel()
        resolve(message)
      }
      late.arm(ANSWER_MS)
      lines.send(question)
    })
  }

  return {
    listeners,
    async handOver(log) {
      const parts = partsOf(await ask({ say: 'hand-over' }))
      if (typeof parts !== 'string') return parts
      log.warn(`what the process before this one has learnt is not used: ${isGone ? 'it is gone' : parts}`)
      return {}
    },
    failed(reasons) {
      try {
        // At once: this process ends.
        writeSync(link, `${JSON.stringify({ say: 'failed', reasons })}\n`)
      } catch {
        // Nobody is there to hear it; standard error has it.
      }
    },
    async ready(facts) {
      const answer = await ask({ say: 'ready', pid: process.pid, ...facts })
      const registration = answer?.registration as TakenOver['registration'] | undefined
      return answer === null ? null : { registration: registration ?? null }
    },
    drains: () => (isGone ? null : pid),
  }
}

function inheritanceOf(text: string): Inheritance {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = null
  }
  const { version, pid = 0, link, listeners } = (value ?? {}) as Partial<Inheritance>
  if (version !== INHERITANCE || typeof link !== 'number' || !Array.isArray(listeners))
    throw new Error(
      `${VARIABLE} is not what this version understands (${JSON.stringify(version)}, not ${INHERITANCE}): it is set by a running proxy for its successor, and by nothing else`,
    )
  return { version, pid, link, listeners }
}

/** Which data thread listens on which of the sockets that were inherited, and those that nothing here listens on. */
export interface Shares {
  /** By data thread; named as the listeners of this process are. */
  readonly threads: readonly (readonly ListeningSocket[])[]
  readonly left: readonly number[]
  /** Of the listeners that have one. */
  readonly names: ReadonlySet<string>
}

/**
 * Each listener goes on with the sockets of one at the same address, whatever it was for; at port 0 it must be called
 * the same. All sockets that share a port go on, because the kernel queues connections at each of them.
 */
export function sharesOf(
  inherited: readonly ListeningSocket[],
  wanted: readonly Pick<ListenerSpec, 'name' | 'listen'>[],
  threads: number,
): Shares {
  const left = new Set(inherited)
  const shares: ListeningSocket[][] = Array.from({ length: threads }, () => [])
  const names = new Set<string>()
  for (const { name, listen } of wanted) {
    const isSame = (socket: ListeningSocket) =>
      socket.address === listen.address && socket.port === listen.port && (listen.port !== 0 || socket.name === name)
    const found = [...left].find(isSame)
    if (found === undefined || found.descriptors.length === 0) continue
    left.delete(found)
    names.add(name)
    for (const [thread, share] of shares.entries()) {
      const descriptors = found.descriptors.filter((_, i) => i % threads === thread)
      if (descriptors.length > 0) share.push({ ...found, name, descriptors })
    }
  }
  return { threads: shares, left: [...left].flatMap(({ descriptors }) => descriptors), names }
}
