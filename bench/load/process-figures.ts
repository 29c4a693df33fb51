import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { tool } from '../../test/peers/find.ts'

export interface CpuSeconds {
  readonly user: number
  readonly system: number
}

export interface Memory {
  readonly rssMb: number
  /** Private memory. The rest of RSS is pages of files (the binary, libraries), which sidecars on one host share. */
  readonly anonMb: number
}

const MB = 1024 * 1024
let ticks = 0

/** CPU time of a process with all its threads, and of the processes it started. */
export function cpuOf(pid: number): CpuSeconds {
  let user = 0
  let system = 0
  for (const member of family(pid)) {
    // After the command name, which may hold spaces and brackets: state is field 3, utime 14, stime 15.
    const fields = readFileSync(`/proc/${member}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    user += Number(fields[11])
    system += Number(fields[12])
  }
  return { user: user / ticksPerSecond(), system: system / ticksPerSecond() }
}

export function memoryOf(pid: number): Memory {
  let rss = 0
  let anon = 0
  for (const member of family(pid)) {
    const status = readFileSync(`/proc/${member}/status`, 'utf8')
    rss += kilobytes(status, 'VmRSS')
    anon += kilobytes(status, 'RssAnon')
  }
  return { rssMb: (rss * 1024) / MB, anonMb: (anon * 1024) / MB }
}

/** Seconds a core was busy since boot, with whatever: what the proxy did not use of it was somebody else's. */
export function busySeconds(core: number): number {
  const line = new RegExp(`^cpu${core} (.+)$`, 'm').exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? ''
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line.split(' ').map(Number)
  return (user + nice + system + irq + softirq + steal) / ticksPerSecond()
}

/** The process and all below it: a launcher that starts the real proxy must not hide its cost. */
function family(pid: number): number[] {
  const members = [pid]
  for (const member of members) {
    for (const thread of readdirSync(`/proc/${member}/task`)) {
      const children = readFileSync(`/proc/${member}/task/${thread}/children`, 'utf8').trim()
      if (children !== '') members.push(...children.split(' ').map(Number))
    }
  }
  return members
}

function kilobytes(status: string, field: string): number {
  return Number(new RegExp(`^${field}:\\s*(\\d+) kB`, 'm').exec(status)?.[1] ?? 0)
}

function ticksPerSecond(): number {
  ticks ||= Number(execFileSync(tool('getconf'), ['CLK_TCK'], { encoding: 'utf8' }))
  return ticks
}
