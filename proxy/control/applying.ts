import type { Log } from '../core/log.ts'
import type { LoadedConfig } from './config-loader.ts'
import { inTurn } from './in-turn.ts'
import type { PeersOfServices } from './peers.ts'
import type { PortClaims } from './port-claims.ts'
import type { DataThreads } from './workers.ts'

export interface Applying {
  /** Once all data threads answered: the reasons of those that refused, empty when all serve. */
  start(config: LoadedConfig): Promise<readonly string[]>
  /** A new configuration: all or nothing; the reasons why not. */
  apply(config: LoadedConfig): Promise<readonly string[]>
  /** The configuration in force, with the services that were found or let go meanwhile. Calls that meet are one. */
  reapply(): Promise<void>
}

export interface ApplyingDeps {
  readonly threads: DataThreads
  readonly peers: PeersOfServices
  readonly claims: PortClaims
  readonly log: Log
}

/**
 * The one way a snapshot comes into force: first its peers are known, then the data threads take it, then what it no
 * longer needs is let go. One after the other.
 */
export function applying({ threads, peers, claims, log }: ApplyingDeps): Applying {
  const turn = inTurn()
  let inForce: LoadedConfig
  let again = false

  async function apply(
    config: LoadedConfig,
    before: LoadedConfig | null,
    how: DataThreads['start'],
  ): Promise<readonly string[]> {
    const taken = await claims.before(config.snapshot, before?.snapshot ?? null)
    if (taken.length > 0) return taken
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
    start: config =>
      turn(async () => {
        const reasons = await apply(config, null, threads.start)
        return reasons.length > 0 ? reasons : claims.after(config.snapshot)
      }),
    apply: config => turn(() => apply(config, inForce, threads.apply)),
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
