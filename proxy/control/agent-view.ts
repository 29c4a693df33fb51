import type { SyncView } from '../admin/views.ts'
import type { Clock } from '../core/clock.ts'
import type { ServicePolicyStatus } from '../sync/policy-sync.ts'
import type { AgentFacts } from '../telemetry/agent-series.ts'
import type { Agent } from './agent.ts'

/** What people and metrics are told of the agent. */

export function syncView({ client, sync, kept, place, saved }: Agent, clock: Clock): SyncView {
  const { state, trouble, agent, since, losses } = client.status()
  const where = place()
  const now = clock.wallTime()
  const stateMs = clock.now() - since
  return {
    state,
    trouble,
    agent,
    socket: where === null ? '' : `unix:${where.path}`,
    isDefault: where?.isDefault ?? false,
    forMs: Math.round(stateMs),
    losses,
    saving: saved.trouble(),
    services: sync.status().map(status => ({
      service: status.service,
      version: status.version,
      from: !status.hasPolicy ? 'files' : status.since === 0 ? 'disk' : 'agent',
      inForceSince: status.since === 0 ? '' : new Date(status.since).toISOString(),
      staleMs: staleMs(status, { now, connected: state === 'connected', stateMs, savedAt: kept.savedAt }),
      refused: status.refused?.version ?? '',
      reasons: status.refused?.reasons ?? [],
      warnings: status.warnings,
      ownChanged: status.ownChanged,
    })),
  }
}

export function agentFacts(agent: Agent, clock: Clock): AgentFacts {
  const { state, losses, services, isDefault, agent: name } = syncView(agent, clock)
  const counts = agent.sync.counts()
  return {
    hasAgent: agent.place() !== null && (!isDefault || name !== '' || state !== 'off' || agent.kept.policies.size > 0),
    connected: state === 'connected',
    losses,
    services: services.map(({ service, staleMs, from, refused }) => ({
      service,
      staleMs,
      hasPolicy: from !== 'files',
      isRefused: refused !== '',
      updates: { applied: 0, refused: 0, unchanged: 0, ...counts.get(service) },
    })),
  }
}

interface Moment {
  readonly now: number
  readonly connected: boolean
  readonly stateMs: number
  readonly savedAt: number | null
}

/** Since the first version that was refused; or, with a policy and no agent, since the agent's last word. */
function staleMs({ refused, hasPolicy, since }: ServicePolicyStatus, moment: Moment): number {
  const { now, connected, stateMs, savedAt } = moment
  if (refused !== null) return Math.max(0, now - refused.since)
  if (!hasPolicy || connected) return 0
  return Math.max(stateMs, since === 0 && savedAt !== null ? now - savedAt : 0)
}
