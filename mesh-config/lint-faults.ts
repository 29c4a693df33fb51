import { move, removal, suggested } from './fix.ts'
import { covers } from './lint-routes.ts'
import type { Path, Warn } from './located.ts'
import type { FaultSpec, MatchSpec, ServiceSpec } from './snapshot.ts'

/** Warns of faults that never come. */
export function lintFaults({ name, faults = [], routes }: ServiceSpec, path: Path, warn: Warn): void {
  lintRules(faults, path, warn)
  for (const [index, route] of routes.entries())
    lintRules(route.faults ?? [], ['services', name, 'routes', index], warn)
}

function lintRules(rules: readonly FaultSpec[], path: Path, warn: Warn): void {
  for (const [index, rule] of rules.entries()) {
    const at = [...path, 'faults', index]
    for (const part of ['delay', 'abort', 'throttle'] as const)
      if (rule[part]?.percent === 0 && !rule.byHeaders)
        warn(
          [...at, part, 'percent'],
          `0 % of the requests is none, so ${rule.name} has no ${part}: write more, or remove it`,
          doesMore(rule, part) ? removal([...at, part]) : suggested(removal(at)),
        )
    const before = rules.findIndex((earlier, position) => position < index && takesAllOf(earlier, rule))
    if (before >= 0)
      warn(
        at,
        `${rule.name} never comes, rule ${before + 1} (${rules[before]!.name}) takes all requests that it matches: put it before that one`,
        suggested(move(at, before)),
      )
    if (rule.abort?.percent === 100 && rule.throttle !== undefined)
      warn([...at, 'throttle'], `${rule.name} aborts every request, so there is no answer to slow: lower abort.percent`)
  }
}

function doesMore(rule: FaultSpec, part: 'delay' | 'abort' | 'throttle'): boolean {
  return (['delay', 'abort', 'throttle'] as const).some(other => other !== part && rule[other] !== undefined)
}

const EVERY: MatchSpec = { path: { kind: 'prefix', value: '/' }, methods: [], headers: [], query: [] }

function takesAllOf(earlier: FaultSpec, later: FaultSpec): boolean {
  const isAlways = earlier.fromTime === undefined && earlier.untilTime === undefined
  return isAlways && covers(earlier.match ?? EVERY, later.match ?? EVERY)
}
