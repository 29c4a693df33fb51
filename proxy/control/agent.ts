import { hostname } from 'node:os'
import { formatAddress } from '../../mesh-config/address.ts'
import { distrust } from '../../mesh-config/agent/distrust.ts'
import { defaultSocket } from '../../mesh-config/agent/socket.ts'
import type { AgentSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import type { OwnPolicy, Policies } from '../core/agent-policy.ts'
import type { Clock, Random } from '../core/clock.ts'
import { hash32 } from '../core/hash.ts'
import type { Log } from '../core/log.ts'
import { type AgentClient, type AgentPlace, agentClient } from '../sync/client.ts'
import { FORMATS } from '../sync/follow.ts'
import { type KeptPolicies, type LastPolicies, lastPolicies } from '../sync/last-policies.ts'
import { type PolicySync, policySync } from '../sync/policy-sync.ts'
import { dialPath } from '../system/net.ts'
import { replaceFile } from '../system/replace-file.ts'
import type { IntoForce } from './into-force.ts'
import type { LoadedConfig } from './loaded-config.ts'

/** The agent of this host, as the control thread has it. */
export interface Agent {
  /** As an earlier process had them: in force from the start. */
  readonly kept: KeptPolicies
  readonly client: AgentClient
  readonly sync: PolicySync
  readonly saved: LastPolicies
  /** Where it is looked for; null: nowhere. */
  place(): AgentPlace | null
  /** A configuration is in force: the agent that it names is followed. */
  configure(config: LoadedConfig): Promise<void>
  /** A snapshot is in force, so other services may be in use. */
  applied(snapshot: Snapshot, before: Snapshot | null): void
}

export interface AgentDeps {
  readonly loaded: LoadedConfig
  /** Of the program. */
  readonly version: string
  readonly force: () => Pick<IntoForce, 'govern'>
  /** Takes the state folder for this process. */
  readonly claim: () => Promise<string>
  /** Policies as a process before this one has them. */
  readonly handed?: string | undefined
  /** What the proxy counted since the last time, as an encoded Summary (agent/sync/stats.proto); null: nothing. */
  readonly summary?: () => Uint8Array | null
  /** Once: an agent has been there for a while, and all that talking with it needs is loaded. */
  readonly settled: () => void
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

/** More lines about one change help nobody. */
const MOST_LINES = 20
const SETTLED_MS = 5_000

export function agentOfHost(deps: AgentDeps): Agent {
  const { loaded, version, clock, random, log, summary = () => null } = deps
  const { bootstrap } = loaded
  const uid = process.getuid?.() ?? 0
  const saved = lastPolicies({
    folder: bootstrap.state,
    replaceFile,
    claim: deps.claim,
    handed: deps.handed,
    clock,
    log,
  })
  const kept: KeptPolicies =
    loaded.agent.kind === 'off' ? { policies: new Map(), own: new Map(), savedAt: null } : saved.read()
  if (kept.policies.size > 0)
    log.info(`${servicesText(kept.policies.size)} from the agent's last word, until it has another one`, {
      savedAt: new Date(kept.savedAt ?? 0).toISOString(),
    })
  let config = loaded
  let place: AgentPlace | null = null
  let inForce: { readonly now: Snapshot; readonly before: Snapshot | null } | null = null
  let own: ReadonlyMap<string, OwnPolicy> = new Map()
  /** The configuration that `own` is of; null: no agent was there yet to want it. */
  let ownOf: LoadedConfig | null = null
  let hasSettled = false
  const settling = clock.timer(() => {
    if (client.state !== 'connected' || hasSettled) return
    hasSettled = true
    deps.settled()
  })

  const client: AgentClient = agentClient({
    hello: () => ({
      formats: FORMATS,
      proxy: nameOf(config.snapshot),
      service: bootstrap.service,
      version,
      host: hostname(),
      zone: inForce?.now.zone ?? '',
      pid: process.pid,
      admin: bootstrap.admin === null ? '' : formatAddress(bootstrap.admin),
      config: config.snapshot.version,
    }),
    wanted: () => sync.wanted(),
    summary,
    update: update => sync.update(update),
    tooLong: (update, bytes) => sync.tooLong(update, bytes),
    dial: dialPath,
    // Some MB that a proxy without an agent does not need; nor does it need its own policies as text.
    codec: async () => {
      await readOwn()
      return (await import('../codec/h2/codec.ts')).http2(clock)
    },
    distrust: path => distrust(path, uid),
    userAgent: `outrigger/${version}`,
    // The time of the last word of the agent.
    changed: () => {
      if (client.state === 'connected' && !hasSettled) settling.arm(SETTLED_MS)
      if (client.state !== 'connected' && sync.policies().size > 0) saved.save(sync.kept)
    },
    clock,
    random,
    log,
  })

  async function bring(policies: Policies, changed: readonly string[]): Promise<readonly string[]> {
    const reasons = await deps.force().govern(policies)
    if (reasons.length === 0) await sayChanges(changed)
    return reasons
  }

  async function sayChanges(changed: readonly string[]): Promise<void> {
    const { now, before } = inForce!
    if (before === null) return
    const { diffSnapshots } = await import('../../mesh-config/diff.ts')
    const of = (snapshot: Snapshot) => ({ ...now, services: only(snapshot, changed) })
    const lines = diffSnapshots(of(before), of(now))
    for (const line of lines.slice(0, MOST_LINES)) log.info(line)
    if (lines.length > MOST_LINES) log.info(`and ${lines.length - MOST_LINES} more changes`)
  }

  const sync: PolicySync = policySync({
    kept,
    client: () => client,
    bring,
    changed: () => saved.save(sync.kept),
    clock,
    log,
  })

  /** Its own policies as the agent wants them. They are made after all that a start waits for. */
  async function readOwn(): Promise<void> {
    const wanted = config
    if (ownOf === wanted) return
    const sections = (await wanted.effective).own()
    if (config !== wanted) return readOwn()
    own = new Map(
      Object.entries(sections).map(([service, { policy, at }]) => [
        service,
        { text: JSON.stringify({ policy, at }), hash: hash32(JSON.stringify(policy)) },
      ]),
    )
    ownOf = wanted
    use()
  }

  function use(): void {
    if (inForce === null) return
    const named = Object.values(inForce.now.services).filter(({ kind }) => kind === 'named')
    sync.use(
      named.map(({ name }) => name),
      own,
    )
  }

  return {
    kept,
    client,
    sync,
    saved,
    place: () => place,
    async configure(next) {
      config = next
      const wanted = placeOf(next.agent, uid)
      if (wanted === null) {
        place = null
        client.follow(null)
        return sync.dropAll()
      }
      if (ownOf === null) use()
      else await readOwn()
      if (config !== next) return
      if (wanted.path === place?.path && wanted.isDefault === place.isDefault) return
      place = wanted
      client.follow(wanted)
    },
    applied(snapshot, before) {
      inForce = { now: snapshot, before }
      use()
    },
  }
}

function placeOf(agent: AgentSpec, uid: number): AgentPlace | null {
  if (agent.kind === 'off') return null
  if (agent.kind === 'unix') return { path: agent.path, isDefault: false }
  return { path: defaultSocket(process.env, uid), isDefault: true }
}

/** The same over restarts, and its own in the mesh. */
function nameOf({ service, listeners }: Snapshot): string {
  const first = listeners.find(({ direction }) => direction === 'inbound') ?? listeners[0]
  return `${hostname()}/${service}/${first?.listen.port ?? 0}`
}

function only({ services }: Snapshot, names: readonly string[]): Snapshot['services'] {
  return Object.fromEntries(names.flatMap(name => (Object.hasOwn(services, name) ? [[name, services[name]!]] : [])))
}

function servicesText(count: number): string {
  return count === 1 ? 'the policy of 1 service is' : `the policies of ${count} services are`
}
