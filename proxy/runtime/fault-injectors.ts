import type { FaultSpec } from '../../mesh-config/snapshot.ts'
import type { Clock, Random } from '../core/clock.ts'
import { helpOf } from '../core/metrics-table.ts'
import { FaultInjector } from '../filter/faults.ts'
import { matcherOf } from '../router/compile.ts'
import type { CompileRegex } from '../router/predicate.ts'
import type { StatsWriter } from '../telemetry/stats.ts'
import type { Kept } from './keeper.ts'

export interface FaultInjectorDeps {
  readonly clock: Clock
  readonly random: Random
  readonly stats: StatsWriter
}

export function newFaultInjector(
  scope: string,
  rule: FaultSpec,
  regex: CompileRegex,
  deps: FaultInjectorDeps,
): Kept<FaultInjector> {
  const { stats } = deps
  const matches = rule.match === undefined ? null : matcherOf(rule.match, regex)
  const labels = { scope, rule: rule.name }
  const injected = (fault: string) =>
    stats.counter('outrigger_faults_injected_total', helpOf('outrigger_faults_injected_total'), { ...labels, fault })
  const counted = {
    delayed: injected('delay'),
    aborted: injected('abort'),
    throttled: injected('throttle'),
    overflow: stats.counter('outrigger_faults_overflow_total', helpOf('outrigger_faults_overflow_total'), labels),
    active: stats.gauge('outrigger_faults_active', helpOf('outrigger_faults_active'), labels),
  }
  return {
    value: new FaultInjector(rule, matches, counted, deps),
    close: () => stats.retire(Object.values(counted)),
  }
}
