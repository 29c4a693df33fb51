import type { BalancerDeps, BalancerPolicy, LoadBalancer } from '../core/balancer.ts'
import type { Endpoint } from '../core/endpoint.ts'
import { type LoadedLevel, loadLevels } from './load.ts'
import { isPanic, panicPicker } from './panic.ts'
import { priorityPicker } from './priority.ts'
import { roomyPicker } from './roomy.ts'
import { stickyPicker } from './sticky.ts'
import { type Locality, planZones, type ZonePlan, zonePicker } from './zone.ts'

/** What pickers are built with, besides the endpoints. */
export interface BalanceDeps {
  readonly policy: BalancerPolicy
  readonly policyDeps: BalancerDeps
  readonly locality: Locality
  /** From the name of an endpoint to its sticky id. Null: the service has no sticky sessions. */
  readonly stickyIdOf: ((name: string) => string) | null
  /** Endpoints have limits of their own. */
  readonly isLimited: boolean
}

/** The picker of one host set, and how it was made: for `/endpoints`. */
export interface Balance {
  readonly balancer: LoadBalancer
  /** Those to which one request goes, to find out how they are. */
  readonly probing: readonly Endpoint[]
  /** How many endpoints pass, are not ejected and not probing, and how many get requests. */
  readonly healthy: number
  readonly inRotation: number
  /** A priority is in panic: it ignores health or ejections. */
  readonly panic: boolean
  readonly levels: readonly LoadedLevel[]
  /** Of the first priority; a text says why zones are not used. */
  readonly zones: ZonePlan | string
}

const NOTHING: LoadBalancer = { pick: () => null }

/**
 * Joins the stages: room at the endpoint -> sticky session -> priority -> panic -> zone -> policy. A stage that has nothing to decide is left
 * out; where none has, the picker is the policy's own.
 */
export function balance(endpoints: readonly Endpoint[], deps: BalanceDeps): Balance {
  const { policy, policyDeps } = deps
  const { spec, random } = policyDeps
  const levels = loadLevels(endpoints, spec)
  const used = levels.filter(({ rotation }) => rotation.length !== 0)
  const zones = zonesOf(levels[0], deps)
  const pickers = used.map(level => levelPicker(level, level === levels[0] ? zones : '', deps))
  let balancer = pickers[0] ?? NOTHING
  if (pickers.length > 1)
    balancer = priorityPicker(
      pickers,
      used.map(({ load }) => load),
      policy.hashes,
      random,
    )
  if (deps.stickyIdOf !== null && pickers.length !== 0)
    balancer = stickyPicker(
      used.flatMap(({ rotation }) => rotation),
      balancer,
      deps.stickyIdOf,
    )
  if (deps.isLimited && pickers.length !== 0)
    balancer = roomyPicker(
      used.map(({ rotation }) => rotation),
      balancer,
      random,
    )
  const healthy = used.reduce((sum, { level }) => sum + (level.usesProbing ? 0 : level.healthy.length), 0)
  const inRotation = used.reduce((sum, { rotation }) => sum + rotation.length, 0)
  const panic = used.some(({ panic }) => isPanic(panic))
  return { balancer, probing: probingIn(levels), healthy, inRotation, panic, levels, zones }
}

/** A priority that gets no requests, even if all of it were well, is left alone: the ones before it carry them all. */
function probingIn(levels: readonly LoadedLevel[]): readonly Endpoint[] {
  const lastLoaded = levels.findLastIndex(({ load }) => load > 0)
  const some = lastLoaded < 0 ? levels : levels.slice(0, lastLoaded + 1)
  return some.flatMap(({ level }) => level.probing)
}

/**
 * Zones count in the first priority only (as in Envoy), while it is not in panic, and where no keys are hashed: each
 * key would have one endpoint in each zone.
 */
function zonesOf(first: LoadedLevel | undefined, { policy, policyDeps, locality }: BalanceDeps): ZonePlan | string {
  if (first === undefined || first.rotation.length === 0) return 'there are no endpoints in the first priority'
  if (policy.hashes) return 'the policy goes by hash'
  if (isPanic(first.panic)) return 'panic'
  return planZones(first.level.members, first.rotation, locality, policyDeps.spec)
}

function levelPicker(
  { panic, rotation }: LoadedLevel,
  zones: ZonePlan | string,
  { policy, policyDeps, locality }: BalanceDeps,
): LoadBalancer {
  const picker =
    typeof zones === 'string'
      ? policy.create(rotation, policyDeps)
      : zonePicker(
          zones,
          zones.zones.map(zone => policy.create(zone.endpoints, policyDeps)),
          locality.zone,
          policyDeps.random,
        )
  return isPanic(panic) ? panicPicker(picker) : picker
}
