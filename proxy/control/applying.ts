import type { Log } from '../core/log.ts'
import type { LoadedConfig } from './config-loader.ts'
import { inTurn } from './in-turn.ts'
import type { PeersOfServices } from './peers.ts'
import type { DataThreads } from './workers.ts'

export interface Applying {
  /** Once all data threads answered: the reasons of those that refused, empty when all serve. */
  start(config: LoadedConfig): Promise<readonly string[]>
  /** A new configuration: all or nothing; the reasons why not. */
  apply(config: LoadedConfig): Promise<readonly string[]>
  /** The configuration in force, with the services that were found or let go meanwhile. Calls that meet are one. */
  reapply(): Promise<void>
}

/** The one way a snapshot comes into force: first its peers are known, then the data threads take it, then what it no longer needs is let go. One after the other. */
export function applying({ threads, peers, log }: { threads: DataThreads; peers: PeersOfServices; log: Log }): Applying {
  const turn = inTurn()
  let inForce: LoadedConfig
  let again = false

  async function apply(config: LoadedConfig, how: DataThreads['start']): Promise<readonly string[]> {
    await peers.prepare(config)
    const reasons = await how(peers.extend(config.snapshot, config.discovery))
    if (reasons.length > 0) {
      peers.abandon()
      return reasons
    }
    inForce = config
    peers.commit(config)
    return []
  }

  return {
    start: config => turn(() => apply(config, threads.start)),
    apply: config => turn(() => apply(config, threads.apply)),
    async reapply() {
      if (again) return
      again = true
      await turn(async () => {
        again = false
        const reasons = await threads.apply(peers.extend(inForce.snapshot, inForce.discovery))
        for (const reason of reasons) log.error(`services found meanwhile could not be taken up: ${reason}`)
      })
    },
  }
}
