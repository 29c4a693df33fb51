import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { tool } from '../../test/peers/find.ts'
import type { Command } from './command.ts'

/** Which core the proxies get; everything else (backends, load, the bench itself) runs on another. Null: not pinned. */
export interface Cores {
  readonly proxy: number | null
  readonly load: number | null
  /** What a reader of the figures must know if this is not the intended layout. */
  readonly warning: string | null
}

/** Moves the bench itself, and so all it starts, to the load's core; the proxies are put on theirs one by one. */
export function arrangeCores(): Cores {
  const unpinned = (why: string): Cores => ({
    proxy: null,
    load: null,
    warning: `${why}: proxy and load share cores, so compare the CPU figures with care and the latencies not at all`,
  })
  if (process.platform !== 'linux') return unpinned('processes can be pinned to cores only on Linux')
  const allowed = allowedCores()
  const [proxy, load] = allowed
  if (proxy === undefined || load === undefined) return unpinned('there is only one core to use')
  try {
    execFileSync(tool('taskset'), ['-a', '-c', '-p', String(load), String(process.pid)], { stdio: 'ignore' })
  } catch {
    return unpinned('there is no taskset (package util-linux)')
  }
  return { proxy, load, warning: null }
}

/** `taskset` becomes the program it starts, so the process id stays the same. */
export function pinned(core: number, program: Command): Command {
  return { ...program, command: tool('taskset'), args: ['-c', String(core), program.command, ...program.args] }
}

/** The cores this process may use: in a container not always 0 and 1. */
function allowedCores(): number[] {
  const list = /^Cpus_allowed_list:\s*(.+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? ''
  return list.split(',').flatMap(range => {
    const [from, to] = range.split('-').map(Number)
    if (from === undefined || Number.isNaN(from)) return []
    return Array.from({ length: (to ?? from) - from + 1 }, (_, index) => from + index)
  })
}
