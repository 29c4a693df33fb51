import type { MirrorSpec } from '../../mesh-config/snapshot.ts'
import { classify } from '../cluster/classify.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { Cluster } from '../core/cluster.ts'
import { helpOf } from '../core/metrics-table.ts'
import { Mirrors } from '../forward/mirror.ts'
import type { StatsWriter } from '../telemetry/stats.ts'
import type { Kept } from './keeper.ts'

export interface MirrorsDeps {
  readonly clock: Clock
  readonly random: Random
  readonly stats: StatsWriter
  /** As it is in force; null: it is not there. */
  clusterOf(service: string, subset: string | null): Cluster | null
}

export function newMirrors(
  scope: string,
  spec: MirrorSpec,
  { clock, random, stats, clusterOf }: MirrorsDeps,
): Kept<Mirrors> {
  const result = (name: string) =>
    stats.counter('outrigger_mirror_requests_total', helpOf('outrigger_mirror_requests_total'), {
      scope,
      result: name,
    })
  const latency = (of: string) =>
    stats.histogram('outrigger_mirror_response_seconds', helpOf('outrigger_mirror_response_seconds'), { scope, of })
  const counted = {
    same: result('same'),
    different: result('different'),
    failed: result('failed'),
    overflow: result('overflow'),
    tooLong: result('oversized'),
    latency: latency('copy'),
    originalLatency: latency('request'),
  }
  const cluster = () => clusterOf(spec.service, spec.subset)
  return {
    value: new Mirrors(spec, counted, { clock, random, classify, cluster }),
    close: () => stats.retire(Object.values(counted)),
  }
}
