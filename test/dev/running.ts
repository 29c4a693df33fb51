import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { join } from 'node:path'
import { type Child, node, root, startChild, temporaryFolder } from '../integration/support/child.ts'
import { until } from '../integration/support/until.ts'

/** `outrigger dev` as a user runs it, on a file in a folder of its own. */

export const APP = `"${node}" "${join(root, 'test/dev/app.js')}"`

export interface Dev {
  readonly child: Child
  readonly folder: string
  /** Replaces the file. */
  write(yaml: string): void
  /** The address behind a name in the last table. */
  urlOf(service: string): string
  whenReady(): Promise<void>
  /** Of all processes that the services started so far, in this order. */
  pids(instance?: string): number[]
}

export function startDev(yaml: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}): Dev {
  const folder = temporaryFolder()
  const file = join(folder, 'dev.yaml')
  const pidFile = join(folder, 'pids')
  writeFileSync(file, yaml)
  const child = startChild(
    node,
    [join(root, 'bin/outrigger.js'), 'dev', ...args],
    { PIDS: pidFile, TMPDIR: folder, NO_COLOR: undefined, FORCE_COLOR: undefined, ...env },
    folder,
  )
  return {
    child,
    folder,
    write: text => writeFileSync(file, text),
    urlOf(service) {
      const found = [...child.out().matchAll(new RegExp(`^${service} +(http\\S+)$`, 'gm'))].at(-1)
      if (found === undefined) throw new Error(`${service} is in no table:\n${child.out()}`)
      return found[1]!
    },
    whenReady: () => child.said('that all is ready', out => /ready after .* instances/.test(out)),
    pids(instance) {
      if (!existsSync(pidFile)) return []
      const lines = readFileSync(pidFile, 'utf8').trim().split('\n')
      return lines
        .map(line => line.split(' '))
        .filter(([name]) => instance === undefined || name === instance)
        .map(([, pid]) => Number(pid))
    },
  }
}

export interface Answer {
  readonly status: number
  readonly from: string
  readonly pid: number
  readonly colour?: string
  readonly traceparent?: string
  readonly next: Answer | null
}

export function ask(url: string): Promise<Answer> {
  return new Promise((done, failed) => {
    get(url, { agent: false }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', piece => {
        text += piece
      })
      response.on('end', () => {
        const body = text.startsWith('{') ? (JSON.parse(text) as Omit<Answer, 'status'>) : {}
        done({ ...body, status: response.statusCode } as Answer)
      })
    }).on('error', failed)
  })
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    // A zombie has ended; whoever started it is to ask for it.
    return !/\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

/** Every process with the folder on its command line or in its environment: what dev started has its TMPDIR. */
export function allGone(pids: readonly number[]): Promise<unknown> {
  return until(`that ${pids.join(', ')} are gone`, () => pids.every(pid => !isAlive(pid)))
}
