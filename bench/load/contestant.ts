import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, start, temporaryFolder } from './children.ts'
import type { Cores } from './cores.ts'
import { freePort } from './ports.ts'
import type { Features, ProxyProgram } from './proxies/proxy.ts'
import { waitUntil } from './ready.ts'
import type { Traffic } from './traffic/traffic.ts'

/** A running proxy under test. */
export interface Contestant {
  readonly proxy: ProxyProgram
  readonly child: Child
  readonly listen: number
  readonly admin: number
  /** From the start of its process to the first request answered through it. */
  readonly startMs: number
}

const READY_WITHIN_MS = 15_000
let started = 0

export async function startContestant(
  proxy: ProxyProgram,
  features: Features,
  traffic: Traffic,
  upstreams: readonly number[],
  cores: Cores,
): Promise<Contestant> {
  const folder = join(temporaryFolder(), `${proxy.name}-${traffic.name}-${features}-${started++}`)
  mkdirSync(folder)
  const listen = await freePort()
  const admin = await freePort()
  const command = await proxy.command({ folder, listen, admin, upstreams, traffic: traffic.name, features })
  const serve = async () => {
    const startedAt = performance.now()
    const child = start(proxy.name, command, cores.proxy)
    try {
      await waitUntil(child, () => traffic.ask(listen, traffic.first, 1000), READY_WITHIN_MS)
    } catch (error) {
      await child.stop()
      throw error
    }
    return { proxy, child, listen, admin, startMs: performance.now() - startedAt }
  }
  // Timed is a restart with the same files.
  await (await serve()).child.stop()
  return serve()
}
