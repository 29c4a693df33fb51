import { change, removal, suggested } from './fix.ts'
import { covers } from './lint-routes.ts'
import type { Path, Warn } from './located.ts'
import type { ListenerSpec, RateLimitSpec, ServiceSpec } from './snapshot.ts'

/** A rule, and where it is written. */
interface Placed {
  readonly rule: RateLimitSpec
  readonly path: Path
  /** Every request that comes to this rule came through those of the same or an outer scope. */
  readonly isOuter: boolean
}

export function lintListenerRateLimits({ rateLimits = [] }: ListenerSpec, path: Path, warn: Warn): void {
  lintRules(placed(rateLimits, path, false), warn)
}

/** Of a service and its routes, which have to get past those of the service too. */
export function lintRateLimits({ name, rateLimits = [], routes }: ServiceSpec, path: Path, warn: Warn): void {
  lintRules(placed(rateLimits, path, false), warn)
  for (const [index, { rateLimits: own }] of routes.entries())
    if (own !== undefined)
      lintRules([...placed(rateLimits, path, true), ...placed(own, ['services', name, 'routes', index], false)], warn)
}

function placed(rules: readonly RateLimitSpec[], path: Path, isOuter: boolean): Placed[] {
  return rules.map((rule, index) => ({ rule, path: [...path, 'rateLimits', index], isOuter }))
}

function lintRules(rules: readonly Placed[], warn: Warn): void {
  for (const one of rules) {
    if (one.isOuter) continue
    const { rule, path } = one
    const tighter = rules.find(other => other !== one && stops(other.rule, rule) && !isTwin(other, one, rules))
    if (tighter !== undefined)
      warn(
        path,
        `${words(rule)} never refuses anything: ${words(tighter.rule)} lets through no more than that: remove it, or make it the lower one`,
        removal(path),
      )
    if (rule.burst < rule.count / rule.perSeconds / 100)
      warn(
        [...path, 'burst'],
        `burst ${rule.burst} at ${words(rule)} is less than what comes in 10 ms, and requests come in bunches: write burst: ${Math.ceil(rule.count / rule.perSeconds / 10)}`,
        suggested(change([...path, 'burst'], Math.ceil(rule.count / rule.perSeconds / 10))),
      )
  }
}

/** Whatever gets past the one gets past the other. */
function stops(one: RateLimitSpec, other: RateLimitSpec): boolean {
  const isAsWide = one.match === undefined || (other.match !== undefined && covers(one.match, other.match))
  const isAsCoarse = one.by.every(key => other.by.some(each => JSON.stringify(each) === JSON.stringify(key)))
  const isAsLow = one.count / one.perSeconds <= other.count / other.perSeconds && one.burst <= other.burst
  return one.mode === 'enforce' && other.mode === 'enforce' && isAsWide && isAsCoarse && isAsLow
}

/** Two that are the same: the second of them is reported. */
function isTwin(other: Placed, one: Placed, rules: readonly Placed[]): boolean {
  return stops(one.rule, other.rule) && rules.indexOf(other) > rules.indexOf(one)
}

function words({ name, count, perSeconds, burst }: RateLimitSpec): string {
  const unit = perSeconds === 1 ? 's' : perSeconds === 60 ? 'm' : perSeconds === 3600 ? 'h' : 'd'
  return `${name} (${count}/${unit}, burst ${burst})`
}
