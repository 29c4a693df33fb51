import { readFileSync } from 'node:fs'
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
  /** The processes that are proxies of this test. */
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
  const alive = () => pids.filter(isRunning)
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

/** Not as a zombie either. */
export function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
