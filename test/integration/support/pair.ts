import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, node, startChild, temporaryFolder } from './child.ts'
import { applicationPath } from './machine.ts'
import { freePort } from './ports.ts'
import { type Answer, type Config, get, outrigger } from './proxy.ts'
import { until } from './until.ts'

/** An application and its sidecar, as `outrigger run` starts them. */
export interface Pair extends Child {
  readonly adminPort: number
  admin(path: string): Promise<Answer>
  /** Of the sidecar that runs now. */
  sidecar(): Promise<number>
}

export interface PairOptions {
  readonly config?: Config
  readonly command: readonly string[]
  readonly options?: readonly string[]
  readonly env?: NodeJS.ProcessEnv
}

/** A file needs one. */
const anyListener = { outbound: [{ listen: '127.0.0.1:0' }] }

/** Not awaited: it may end before anything is ready. */
export async function startPair({ config = {}, command, options = [], env = {} }: PairOptions): Promise<Pair> {
  const adminPort = await freePort()
  const file = join(temporaryFolder(), 'sidecar.yaml')
  const own = { admin: `127.0.0.1:${adminPort}`, agent: 'off', state: 'off', drain: { delay: '0s', timeout: '5s' } }
  const listener = config.inbound === undefined && config.outbound === undefined ? anyListener : {}
  writeFileSync(file, JSON.stringify({ ...own, ...listener, ...config }))
  const child = startChild(node, [outrigger, 'run', '-c', file, ...options, '--', ...command], {
    PATH: applicationPath,
    ...env,
  })
  return {
    ...child,
    adminPort,
    admin: path => get(adminPort, path),
    sidecar: () =>
      until(
        'a sidecar that runs',
        () => childrenOf(child.pid).find(pid => commandOf(pid).includes('\0proxy\0')) ?? false,
      ),
  }
}

/** The command of the application in run-app.ts. */
export const runApp = [node, join(import.meta.dirname, 'run-app.ts')]

export function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && new RegExp(`\\) \\S ${pid} `).test(textOf(`/proc/${name}/stat`)))
    .map(Number)
}

export function commandOf(pid: number): string {
  return textOf(`/proc/${pid}/cmdline`)
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'latin1')
  } catch {
    return ''
  }
}
