import type { AgentPolicy, OwnPolicy, Policies } from '../core/agent-policy.ts'
import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import type { AgentClient } from './client.ts'
import type { KeptPolicies } from './last-policies.ts'
import type { Update, Wanted } from './messages.ts'
import { isReasons, readPolicy } from './policy.ts'

/** A version that this proxy has not taken. */
export interface RefusedPolicy {
  readonly version: string
  readonly reasons: readonly string[]
  /** Wall time. */
  readonly since: number
}

/** What one service has of the agent, for people and metrics. */
export interface ServicePolicyStatus {
  readonly service: string
  /** Of what is in force; empty: nothing of the agent. */
  readonly version: string
  /** The agent says something of this service. */
  readonly hasPolicy: boolean
  /** Wall time since when it is in force; 0: since the start, from the disk. */
  readonly since: number
  readonly refused: RefusedPolicy | null
  /** The section of the sidecar's own file is another one than the one that the policy was made with. */
  readonly ownChanged: boolean
  readonly warnings: readonly string[]
}

export type UpdateResult = 'applied' | 'refused' | 'unchanged'

/** The policies of the agent in force, and how they come into force. */
export interface PolicySync {
  policies(): Policies
  /** The services in use, and what the sidecar's own file says of each. */
  use(services: readonly string[], own: ReadonlyMap<string, OwnPolicy>): void
  wanted(): readonly Wanted[]
  update(update: Update): void
  tooLong(update: { readonly service: string; readonly version: string }, bytes: number): void
  /** Nothing of the agent counts any longer. */
  dropAll(): Promise<void>
  /** Of the services in use. */
  status(): readonly ServicePolicyStatus[]
  /** How many updates have come, by service and result. */
  counts(): ReadonlyMap<string, Readonly<Record<UpdateResult, number>>>
  /** Of all policies: for the disk. */
  kept(): KeptPolicies
}

export interface PolicySyncDeps {
  readonly kept: KeptPolicies
  readonly client: () => Pick<AgentClient, 'answer' | 'pause' | 'resume' | 'resubscribe'>
  /** All or nothing: the reasons why not. */
  readonly bring: (policies: Policies, changed: readonly string[]) => Promise<readonly string[]>
  /** Other policies are in force. */
  readonly changed: () => void
  readonly clock: Clock
  readonly log: Log
}

/** A burst of updates is one snapshot. */
const GATHER_MS = 20
/** Between two changes: an agent that writes without end must not take the time of the data threads. */
const PAUSE_MS = 200
/** More than these wait for nothing: the agent is held up. */
const MOST_PENDING = 1_000
const MOST_PENDING_BYTES = 8 * 1024 * 1024
/** Policies of services that are not in use (found on demand before) are kept for their next use, so many in all. */
const MOST_KEPT = 2_000
const MOST_WARNINGS = 10

interface Pending {
  readonly policy: AgentPolicy
  readonly warnings: readonly string[]
}

export function policySync({ kept, client, bring, changed, clock, log }: PolicySyncDeps): PolicySync {
  let inForce: Policies = kept.policies
  const since = new Map<string, number>()
  const refused = new Map<string, RefusedPolicy>()
  const warnings = new Map<string, readonly string[]>()
  const counts = new Map<string, Record<UpdateResult, number>>()
  let used: readonly string[] = []
  let isUsed: ReadonlySet<string> = new Set()
  let own: ReadonlyMap<string, OwnPolicy> = new Map()
  /** What the file said when each policy was made. */
  const madeWith = new Map(kept.own)
  let pending = new Map<string, Pending>()
  let pendingBytes = 0
  let isBusy = false
  let isArmed = false
  let isHeld = false
  let mayGoAt = Number.NEGATIVE_INFINITY
  const timer = clock.timer(() => void flush())

  const ownHash = (service: string): number => own.get(service)?.hash ?? 0

  function count(service: string, result: UpdateResult): void {
    let counted = counts.get(service)
    if (counted === undefined) {
      counted = { applied: 0, refused: 0, unchanged: 0 }
      counts.set(service, counted)
    }
    counted[result]++
  }

  function refuse(service: string, version: string, reasons: readonly string[]): void {
    const before = refused.get(service)
    const isNews = before?.version !== version
    refused.set(service, { version, reasons, since: before?.since ?? clock.wallTime() })
    count(service, 'refused')
    client().answer(service, version, reasons)
    if (!isNews) return
    const now = inForce.get(service)?.version
    const stays = now === undefined ? 'what its files say stays' : `version ${now} stays`
    log.error(`policy ${version} of the agent for ${service} is refused, ${stays}: ${reasons.join('; ')}`, {
      service,
      version,
    })
  }

  function settled(service: string, version: string, result: UpdateResult): void {
    refused.delete(service)
    madeWith.set(service, ownHash(service))
    count(service, result)
    client().answer(service, version, [])
  }

  /** The first of a burst sets the time: more that come meanwhile do not put it off. */
  function arm(): void {
    if (isBusy || isArmed || pending.size === 0) return
    isArmed = true
    timer.arm(Math.max(GATHER_MS, mayGoAt - clock.now()))
  }

  function hold(): void {
    if (isHeld) return
    isHeld = true
    client().pause()
  }

  async function flush(): Promise<void> {
    isArmed = false
    if (isBusy || pending.size === 0) return
    isBusy = true
    hold()
    const batch = pending
    pending = new Map()
    pendingBytes = 0
    await takeGood([...batch])
    isBusy = false
    mayGoAt = clock.now() + PAUSE_MS
    isHeld = false
    client().resume()
    arm()
  }

  /** Bad ones are found by halves: with hundreds of services, one after the other would take seconds. */
  async function takeGood(batch: readonly (readonly [string, Pending])[]): Promise<void> {
    const reasons = await tryOut(new Map(batch))
    if (reasons.length === 0) return
    const [[service, { policy }]] = batch as readonly [readonly [string, Pending]]
    if (batch.length === 1) return refuse(service, policy.version, reasons)
    const half = batch.length >> 1
    await takeGood(batch.slice(0, half))
    await takeGood(batch.slice(half))
  }

  async function tryOut(batch: ReadonlyMap<string, Pending>): Promise<readonly string[]> {
    const next = new Map(inForce)
    for (const [service, { policy }] of batch) {
      // The last to come stand last: where there is no room for all, the first go.
      next.delete(service)
      next.set(service, policy)
    }
    for (const service of next.keys()) {
      if (next.size <= MOST_KEPT) break
      if (!isUsed.has(service)) next.delete(service)
    }
    const reasons = await bring(next, [...batch.keys()])
    if (reasons.length > 0) return reasons
    inForce = next
    for (const service of since.keys()) if (!next.has(service)) since.delete(service)
    for (const service of madeWith.keys()) if (!next.has(service)) madeWith.delete(service)
    const now = clock.wallTime()
    for (const [service, { policy, warnings: said }] of batch) {
      since.set(service, now)
      warnings.set(service, said)
      settled(service, policy.version, 'applied')
      const what =
        policy.spec === null ? 'the agent has no policy' : `policy ${policy.version} of the agent is in force`
      log.info(`${service}: ${what}`, { service, version: policy.version })
      for (const warning of said) log.warn(`${service}: ${warning}`, { service })
    }
    changed()
    return []
  }

  return {
    policies: () => inForce,
    use(services, ownTexts) {
      const isSame =
        services.length === used.length &&
        services.every(
          (service, index) => service === used[index] && ownTexts.get(service)?.text === own.get(service)?.text,
        )
      if (isSame) return
      used = services
      isUsed = new Set(services)
      own = ownTexts
      for (const service of [...refused.keys(), ...counts.keys(), ...warnings.keys()]) {
        if (isUsed.has(service)) continue
        refused.delete(service)
        counts.delete(service)
        warnings.delete(service)
      }
      client().resubscribe()
    },
    wanted: () =>
      used.map(service => ({ service, own: own.get(service)?.text ?? '', have: inForce.get(service)?.version ?? '' })),
    update(update) {
      const { service, version, unchanged } = update
      // It crossed a subscription without this service.
      if (!isUsed.has(service)) return
      if (unchanged) {
        if (inForce.get(service)?.version === version) settled(service, version, 'unchanged')
        return
      }
      if (!pending.has(service) && !isBusy && inForce.get(service)?.version === version)
        return settled(service, version, 'unchanged')
      const policy = readPolicy(update)
      if (isReasons(policy)) return refuse(service, version, policy)
      pending.set(service, { policy, warnings: update.warnings.slice(0, MOST_WARNINGS) })
      pendingBytes += update.spec.length + update.provenance.length
      if (pending.size > MOST_PENDING || pendingBytes > MOST_PENDING_BYTES) hold()
      arm()
    },
    tooLong({ service, version }, bytes) {
      if (!isUsed.has(service)) return
      refuse(service, version, [`it has ${bytes} bytes, and this proxy reads 4 MiB: write shorter routes`])
    },
    async dropAll() {
      pending = new Map()
      refused.clear()
      if (inForce.size === 0) return
      const reasons = await bring(new Map(), [...inForce.keys()])
      if (reasons.length > 0) return log.error(`the policies of the agent stay: ${reasons.join('; ')}`)
      inForce = new Map()
      changed()
    },
    status: () =>
      used.map(service => {
        const policy = inForce.get(service)
        return {
          service,
          version: policy?.version ?? '',
          hasPolicy: policy !== undefined && policy.spec !== null,
          since: since.get(service) ?? 0,
          refused: refused.get(service) ?? null,
          ownChanged: policy !== undefined && (madeWith.get(service) ?? 0) !== ownHash(service),
          warnings: warnings.get(service) ?? [],
        }
      }),
    counts: () => counts,
    kept: () => ({ policies: inForce, own: madeWith, savedAt: clock.wallTime() }),
  }
}
