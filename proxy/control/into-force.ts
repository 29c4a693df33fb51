import type { Log } from '../core/log.ts'
import { inTurn } from './in-turn.ts'
import type { LoadedConfig } from './loaded-config.ts'
import type { PortClaims } from './port-claims.ts'
import type { WatchedServices } from './watched-services.ts'
import type { DataThreads } from './workers.ts'

export interface IntoForce {
  /** Once all data threads answered: the reasons of those that refused, empty when all serve. */
  start(config: LoadedConfig): Promise<readonly string[]>
  /** A new configuration: all or nothing; the reasons why not. */
  change(config: LoadedConfig): Promise<readonly string[]>
  /** The configuration in force, with the services that were found or let go meanwhile. Calls that meet are one. */
  refresh(): Promise<void>
}

export interface IntoForceDeps {
  readonly threads: DataThreads
  readonly watched: WatchedServices
  readonly claims: PortClaims
  readonly log: Log
}

/**
 * The one way a snapshot comes into force: first the endpoints it needs are known, then the data threads apply
 * it, then what it no longer needs is let go. One after the other.
 */
export function intoForce({ threads, watched, claims, log }: IntoForceDeps): IntoForce {
  const turn = inTurn()
  let inForce: LoadedConfig
  let again = false

  async function bring(
    config: LoadedConfig,
    before: LoadedConfig | null,
    how: DataThreads['start'],
  ): Promise<readonly string[]> {
    const taken = await claims.before(config.snapshot, before?.snapshot ?? null)
    if (taken.length > 0) return taken
    await watched.prepare(config)
    const reasons = await how(watched.extend(config.snapshot, config.discovery))
    if (reasons.length > 0) {
      watched.abandon()
      return reasons
    }
    inForce = config
    watched.commit(config)
    return []
  }

  return {
    start: config =>
      turn(async () => {
        const reasons = await bring(config, null, threads.start)
        return reasons.length > 0 ? reasons : claims.after(config.snapshot)
      }),
    change: config => turn(() => bring(config, inForce, threads.apply)),
    async refresh() {
      if (again) return
      again = true
      await turn(async () => {
        again = false
        const reasons = await threads.apply(watched.extend(inForce.snapshot, inForce.discovery))
        for (const reason of reasons) log.error(`services found meanwhile could not be taken up: ${reason}`)
      })
    },
  }
}
