import type { BalancerSpec } from '../../mesh-config/snapshot.ts'
import type { InstanceSpec } from './engine/instance.ts'

/** Scenarios of one group share a picture: the same trouble, met in several ways. */
export type Group =
  | 'alike'
  | 'slow'
  | 'spell'
  | 'failing'
  | 'capacities'
  | 'gc'
  | 'cold'
  | 'scale-up'
  | 'two'
  | 'thousand'

/** A fleet, what is wrong with it, and what is asked of it. */
export interface Scenario {
  /** For `--scenario`, and in the JSON. */
  readonly name: string
  readonly group: Group
  readonly title: string
  /** The title of its column in the overview, in two lines. */
  readonly heads: readonly [string, string]
  /** A sentence or two: what happens. */
  readonly what: string
  readonly instances: readonly InstanceSpec[]
  /** When the warm-up is over. */
  readonly change: FleetChange | null
  /** Of what the fleet can do, so much is asked. */
  readonly utilization: number
  readonly sidecars: number
  /** The mean time an instance works on a request when nothing is wrong with it. */
  readonly workMs: number
  /** Learning, before anything is counted. */
  readonly warmUpMs: number
  readonly measuredMs: number
  readonly balancer: Partial<BalancerSpec>
  readonly outliers: boolean
  /** Which requests are looked at, and what part they are by number, size or time alone; null: nothing stands out. */
  readonly bad: { readonly label: string; readonly fairShare: number } | null
  /** What its picture shows second by second, if anything. */
  readonly timeline: 'p99' | 'share' | null
}

export interface FleetChange {
  readonly joining: readonly InstanceSpec[]
  /** How many of the first ones leave. */
  readonly leaving: number
  readonly utilization: number
  /** Over so long the load comes to be what is asked of the new fleet. */
  readonly rampMs: number
}
