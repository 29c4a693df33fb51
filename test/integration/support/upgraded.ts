import { readdirSync, readFileSync } from 'node:fs'
import type { UpgradeOutcome } from '../../../proxy/admin/upgrade.ts'
import { get, type RunningProxy, startProxy } from './proxy.ts'
import { until, within } from './until.ts'

/** A proxy whose program is started anew while it runs: `pid` is of the process that serves now. */
export interface UpgradedProxy extends RunningProxy {
  now(): number
  /** What `POST /upgrade` answers. */
  upgrade(query?: string): Promise<UpgradeOutcome>
  /** The same, and fails where no other process serves afterwards; resolves once the one before has ended. */
  succeed(): Promise<Extract<UpgradeOutcome, { ok: true }>>
  /** The processes that are proxies with this file, whoever started them. */
  alive(): number[]
}

export async function startUpgraded(
  config: Parameters<typeof startProxy>[0],
  env: NodeJS.ProcessEnv = {},
): Promise<UpgradedProxy> {
  const first = await startProxy(config, env)
  const pids = [first.pid]
  const now = () => pids.at(-1)!
  const upgrade = async (query = '') => {
    const { body } = await get(first.adminPort, `/upgrade?format=json${query}`, { method: 'POST' })
    const outcome = JSON.parse(body) as UpgradeOutcome
    if (outcome.ok) pids.push(outcome.pid)
    return outcome
  }
  const alive = () => proxiesOf(first.file)
  async function stop() {
    for (const pid of alive()) process.kill(pid, 'SIGTERM')
    return await within('the end of every process', first.ended)
  }
  return {
    ...first,
    now,
    upgrade,
    alive,
    async succeed() {
      const before = now()
      const outcome = await upgrade()
      if (!outcome.ok) throw new Error(`no upgrade: ${JSON.stringify(outcome)}: ${first.err().slice(-2000)}`)
      await until('the end of the process before', () => !isRunning(before))
      return outcome
    },
    signal: signal => void process.kill(now(), signal),
    stop,
    async [Symbol.asyncDispose]() {
      await stop()
    },
  }
}

/** By their command lines; not the readers of their files. */
function proxiesOf(file: string): number[] {
  const pids = readdirSync('/proc').filter(name => /^\d+$/.test(name))
  const isProxy = (pid: string) => {
    const words = textOf(`/proc/${pid}/cmdline`).split('\0')
    return words.includes('proxy') && words.includes(file)
  }
  return pids.filter(isProxy).map(Number).filter(isRunning)
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/** Not as a zombie either. */
/** A thread that has not ended keeps the sockets open, also when the first one has. */
export function isRunning(pid: number): boolean {
  return tasksOf(pid).some(task => {
    const status = textOf(`/proc/${pid}/task/${task}/status`)
    return status !== '' && !/^State:\s+[ZX]/m.test(status)
  })
}

function tasksOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
  } catch {
    return []
  }
}
