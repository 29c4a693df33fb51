import type { Snapshot } from '../../mesh-config/snapshot.ts'
import type { Policies } from '../core/agent-policy.ts'
import type { Log } from '../core/log.ts'
import type { Credentials } from './credentials.ts'
import { inTurn } from './in-turn.ts'
import type { LoadedConfig } from './loaded-config.ts'
import { askedAnew, type Layered, layered } from './policy-layer.ts'
import type { PortClaims } from './port-claims.ts'
import type { WatchedConfig, WatchedServices } from './watched-services.ts'
import type { DataThreads } from './workers.ts'

export interface IntoForce {
  /** Once all data threads answered: the reasons of those that refused, empty when all serve. */
  start(config: LoadedConfig): Promise<readonly string[]>
  /** A new configuration: all or nothing; the reasons why not. */
  change(config: LoadedConfig): Promise<readonly string[]>
  /** Other policies of the agent over the same configuration: all or nothing; the reasons why not. */
  govern(policies: Policies): Promise<readonly string[]>
  /** The configuration in force, with the services that were found or let go meanwhile. Calls that meet are one. */
  refresh(): Promise<void>
}

export interface IntoForceDeps {
  readonly threads: DataThreads
  readonly watched: WatchedServices
  readonly claims: PortClaims
  readonly credentials: Pick<Credentials, 'prepare' | 'commit'>
  /** Of the agent, as an earlier process had them. */
  readonly policies: Policies
  /** It is in force from here on; `before` null: it is the first. */
  readonly applied: (snapshot: Snapshot, before: Snapshot | null) => void
  readonly log: Log
}

/**
 * The one way a snapshot comes into force: first the endpoints it needs are known, then the data threads apply
 * it, then what it no longer needs is let go. One after the other.
 */
export function intoForce({ threads, watched, claims, credentials, log, ...deps }: IntoForceDeps): IntoForce {
  const turn = inTurn()
  let inForce: LoadedConfig
  /** What discovery is asked for, and what the data threads have. */
  let asked: WatchedConfig | null = null
  let snapshot: Snapshot | null = null
  let { policies } = deps
  let again = false

  const over = (config: LoadedConfig, said: Policies): Layered =>
    named(layered(config, watched.extend(config.snapshot, config.discovery), said))

  const named = (layer: Layered): Layered => ({
    ...layer,
    snapshot: watched.withNames(layer.snapshot, layer.watched.discovery),
  })

  /** `said`: policies of the agent. `isNew`: the configuration is another one. */
  async function bring(
    config: LoadedConfig,
    said: Policies,
    isNew: boolean,
    how: DataThreads['start'],
  ): Promise<readonly string[]> {
    const wanted = over(config, said)
    const anew = isNew || asked === null ? null : askedAnew(asked, wanted.watched)
    const asksAnew = isNew || anew !== null
    if (asksAnew) await watched.prepare(wanted.watched, anew)
    // Services may have been found while that took its time.
    const next = asksAnew ? over(config, said) : wanted
    const unusable = await credentials.prepare(next.snapshot)
    const reasons = unusable.length > 0 ? unusable : await how(next.snapshot)
    if (reasons.length > 0) {
      if (asksAnew) watched.abandon()
      return reasons
    }
    inForce = config
    policies = said
    asked = next.watched
    if (asksAnew) watched.commit(next.watched)
    applied(next.snapshot)
    return []
  }

  function applied(next: Snapshot): void {
    const before = snapshot
    snapshot = next
    credentials.commit(next)
    deps.applied(next, before)
  }

  /** A policy that was taken before and cannot be any longer: the files say what counts, until there is another one. */
  function sayRefused({ refused }: Layered): void {
    for (const [service, reason] of refused)
      log.error(`the policy of the agent for ${service} does not count: ${reason}`)
  }

  async function change(config: LoadedConfig, before: LoadedConfig | null, how: DataThreads['start']) {
    const taken = await claims.before(config.snapshot, before?.snapshot ?? null)
    if (taken.length > 0) return taken
    sayRefused(over(config, policies))
    return bring(config, policies, true, how)
  }

  return {
    start: config =>
      turn(async () => {
        let reasons = await change(config, null, threads.start)
        if (reasons.length > 0 && policies.size > 0) {
          // It may be a policy from the disk: those of the files are enough to serve.
          log.error(`the start failed: ${reasons.join('; ')}; trying again without the last policies of the agent`)
          await threads.stop()
          policies = new Map()
          reasons = await change(config, null, threads.start)
        }
        return reasons.length > 0 ? reasons : claims.after(config.snapshot)
      }),
    change: config => turn(() => change(config, inForce, threads.apply)),
    govern: said =>
      turn(() => {
        const { refused } = over(inForce, said)
        // One that is refused already is no reason against the others.
        const isNews = ([service]: readonly [string, string]) => said.get(service) !== policies.get(service)
        const reasons = [...refused].filter(isNews).map(([, reason]) => reason)
        return reasons.length > 0 ? Promise.resolve(reasons) : bring(inForce, said, false, threads.apply)
      }),
    async refresh() {
      if (again) return
      again = true
      await turn(async () => {
        again = false
        const reasons = await bring(inForce, policies, false, threads.apply)
        for (const reason of reasons) log.error(`services found meanwhile could not be taken up: ${reason}`)
      })
    },
  }
}
