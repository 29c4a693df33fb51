import type { ConsulApi } from './consul.ts'
import type { AgentLog } from './log.ts'
import type { JoinedMesh } from './mesh.ts'
import type { AgentMetrics } from './metrics.ts'
import type { GroupResult } from './rollout/judge.ts'
import { type StagedRollouts, stagedRollouts } from './rollout/rollouts.ts'
import { consulRollouts, fileRollouts } from './rollout/store.ts'
import type { Candidates } from './rollouts.ts'
import { placeOf } from './stats/compare.ts'
import { addBuckets, quantileOf, type SparseHistogram } from './stats/histogram.ts'
import type { Compared } from './stats/other-agents.ts'

export interface JoinRolloutsDeps {
  /** Null: this agent decides for itself. */
  readonly consul: ConsulApi | null
  /** Of keys in Consul. */
  readonly prefix: string
  /** Where an agent alone keeps how its roll-outs stand; null: nowhere. */
  readonly file: string | null
  readonly mesh: () => JoinedMesh
  readonly candidates: () => Candidates
  readonly metrics: AgentMetrics
  readonly log: AgentLog
}

/** Staged roll-outs, joined with the statistics that they are judged by and the documents that they decide about. */
export function joinRollouts({
  consul,
  prefix,
  file,
  mesh,
  candidates,
  metrics,
  log,
}: JoinRolloutsDeps): StagedRollouts {
  const rollouts = stagedRollouts({
    store: consul === null ? fileRollouts(file, log) : consulRollouts(consul, prefix, log),
    leadership: { isLeader: () => mesh().leadership.isLeader() },
    async compare(request) {
      const { replies } = await mesh().stats.compare(request)
      return {
        candidate: sumOf(replies.flatMap(({ candidate }) => candidate ?? [])),
        others: sumOf(replies.flatMap(({ others }) => others ?? [])),
      }
    },
    placeOf,
    candidates,
    log,
    now: Date.now,
  })
  metrics.gauge(
    'outrigger_agent_rollout_step',
    'The step of a staged roll-out that runs, from 1 on.',
    ['service'],
    gauge => {
      for (const { service, state, step } of rollouts.records())
        if (state === 'running') gauge.set({ service }, step + 1)
    },
  )
  metrics.gauge(
    'outrigger_agent_rollout_reverted',
    'Whether the last staged roll-out of a service was taken back: outrigger status says why.',
    ['service'],
    gauge => {
      for (const { service, state } of rollouts.records()) gauge.set({ service }, Number(state === 'reverted'))
    },
  )
  metrics.gauge('outrigger_agent_leader', 'Whether this agent leads the mesh.', [], gauge =>
    gauge.set(Number(mesh().leadership.isLeader())),
  )
  return rollouts
}

function sumOf(groups: readonly Compared[]): GroupResult {
  const histogram: SparseHistogram = new Map()
  let proxies = 0
  let requests = 0
  let failed = 0
  for (const group of groups) {
    proxies += group.proxies
    requests += group.requests
    failed += group.failed
    addBuckets(histogram, group.buckets, group.bucketCounts)
  }
  const refusals = groups.flatMap(group => group.refusals)
  return { proxies, requests, failed, p99Ms: quantileOf(histogram, 0.99), refusals }
}
