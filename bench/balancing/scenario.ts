import type { BalancerSpec } from '../../mesh-config/snapshot.ts'
import type { InstanceSpec } from './engine/instance.ts'

/** Scenarios of one group share a picture: the same trouble in several variants. */
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

/** A fleet, its trouble, and its load. */
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
  /** The load, as a share of the fleet's capacity. */
  readonly utilization: number
  readonly sidecars: number
  /** The mean duration of a request at a healthy instance. */
  readonly workMs: number
  /** The warm-up, before anything is counted. */
  readonly warmUpMs: number
  readonly measuredMs: number
  readonly balancer: Partial<BalancerSpec>
  readonly outliers: boolean
  /** Which requests are observed, and their share by number, size or time alone; null: none. */
  readonly bad: { readonly label: string; readonly fairShare: number } | null
  /** What its picture shows by the second, if anything. */
  readonly timeline: 'p99' | 'share' | null
}

export interface FleetChange {
  readonly joining: readonly InstanceSpec[]
  /** How many of the first instances leave. */
  readonly leaving: number
  readonly utilization: number
  /** The time in which the load grows to that of the new fleet. */
  readonly rampMs: number
}
