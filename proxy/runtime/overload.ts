import type { OverloadSpec, ThresholdsSpec } from '../../mesh-config/snapshot.ts'
import { helpOf } from '../core/metrics-table.ts'
import { type Counter, type ProxyEvent, set } from '../core/telemetry.ts'
import type { Shedding } from '../filter/overload.ts'
import type { Relief } from '../listener/relief.ts'
import type { StatsWriter } from '../telemetry/stats.ts'

/** What there is of the things that a thread may run out of, as shares of their limits. */
export interface Pressure {
  heap(): number
  descriptors(): number
}

type Monitor = keyof OverloadSpec
export type OverloadAction = 'close' | 'shed' | 'refuse'

const MONITORS: readonly Monitor[] = ['heap', 'lag', 'descriptors']
const ACTIONS: readonly OverloadAction[] = ['close', 'shed', 'refuse']

/** Looks in a row, a second apart, until an action begins or ends. */
const LOOKS = 3
/** It ends below this share of its threshold. */
const RELIEF = 0.9
/** Shedding begins with this share. */
const LEAST_SHARE = 0.1

export interface OverloadDeps {
  readonly stats: StatsWriter
  readonly thread: number
  readonly pressure: Pressure
  readonly shedding: Shedding
  readonly event: (event: ProxyEvent) => void
  readonly relief: Relief
}

/** One threshold of one monitor: whether it is reached, with hysteresis. */
class Threshold {
  isReached = false
  #looks = 0

  look(value: number, at: number): void {
    const isOther = at === 0 ? this.isReached : this.isReached ? value < at * RELIEF : value >= at
    this.#looks = isOther ? this.#looks + 1 : 0
    if (this.#looks < LOOKS) return
    this.isReached = !this.isReached
    this.#looks = 0
  }
}

/** The overload manager of a data thread: looks once a second what is short, and does something about it. */
export class OverloadManager {
  #spec: OverloadSpec | null = null
  readonly #deps: OverloadDeps
  readonly #thresholds = new Map<Monitor, Readonly<Record<OverloadAction, Threshold>>>()
  readonly #active: Record<OverloadAction, boolean> = { close: false, shed: false, refuse: false }
  #gauges: { readonly pressure: Map<Monitor, Counter>; readonly active: Map<OverloadAction, Counter> } | null = null

  constructor(deps: OverloadDeps) {
    this.#deps = deps
    for (const monitor of MONITORS)
      this.#thresholds.set(monitor, { close: new Threshold(), shed: new Threshold(), refuse: new Threshold() })
  }

  configure(spec: OverloadSpec | undefined): void {
    this.#spec = spec ?? null
    if (spec === undefined) this.#look(NOTHING, 0)
    else this.#gauges ??= this.#newGauges()
  }

  /** `lagMs`: how late the timer of this look was. */
  look(lagMs: number): void {
    if (this.#spec !== null) this.#look(this.#spec, lagMs)
  }

  #look(spec: OverloadSpec, lagMs: number): void {
    const { pressure, shedding } = this.#deps
    const values = { heap: pressure.heap() * 100, lag: lagMs, descriptors: pressure.descriptors() * 100 }
    const reached: Record<OverloadAction, string> = { close: '', shed: '', refuse: '' }
    let share = 0
    for (const monitor of MONITORS) {
      const at = spec[monitor]
      const value = values[monitor]
      const thresholds = this.#thresholds.get(monitor)!
      for (const action of ACTIONS) {
        thresholds[action].look(value, at[`${action}At`])
        if (thresholds[action].isReached && spec !== NOTHING) reached[action] ||= words(monitor, value)
      }
      if (this.#gauges !== null) set(this.#gauges.pressure.get(monitor)!, pressureOf(value, at))
      if (spec === NOTHING) continue
      if (thresholds.refuse.isReached) share = 1
      else if (thresholds.shed.isReached) share = Math.max(share, shareOf(value, at))
    }
    shedding.share = share
    shedding.reason = reached.refuse || reached.shed
    this.#act('close', reached.close || reached.refuse)
    this.#act('shed', reached.shed || reached.refuse)
    this.#act('refuse', reached.refuse)
  }

  #act(action: OverloadAction, reason: string): void {
    const isOn = reason !== ''
    if (this.#active[action] === isOn) return
    this.#active[action] = isOn
    if (action !== 'shed') this.#deps.relief.begin(action, isOn)
    if (this.#gauges !== null) set(this.#gauges.active.get(action)!, isOn ? 1 : 0)
    this.#deps.event({ kind: 'overload', action, isOn, detail: reason })
  }

  #newGauges() {
    const { stats, thread } = this.#deps
    const own = { thread: String(thread) }
    const gauge = (name: 'outrigger_overload_pressure_ratio' | 'outrigger_overload_active', labels: object) =>
      stats.gauge(name, helpOf(name), { ...own, ...labels })
    return {
      pressure: new Map(MONITORS.map(monitor => [monitor, gauge('outrigger_overload_pressure_ratio', { monitor })])),
      active: new Map(ACTIONS.map(action => [action, gauge('outrigger_overload_active', { action })])),
    }
  }
}

const NEVER: ThresholdsSpec = { closeAt: 0, shedAt: 0, refuseAt: 0 }
/** Turned off. */
const NOTHING: OverloadSpec = { heap: NEVER, lag: NEVER, descriptors: NEVER }

/** 1: the last of its thresholds. */
function pressureOf(value: number, { closeAt, shedAt, refuseAt }: ThresholdsSpec): number {
  const most = Math.max(closeAt, shedAt, refuseAt)
  return most === 0 ? 0 : value / most
}

/** From the first threshold on a tenth, growing to all at the second. */
function shareOf(value: number, { shedAt, refuseAt }: ThresholdsSpec): number {
  const way = refuseAt > shedAt ? (value - shedAt) / (refuseAt - shedAt) : 0
  return Math.min(1, Math.max(LEAST_SHARE, way))
}

function words(monitor: Monitor, value: number): string {
  if (monitor === 'lag') return `the data thread is late by ${Math.round(value)} ms`
  return `${monitor === 'heap' ? 'its heap' : 'the file descriptors'} ${monitor === 'heap' ? 'is' : 'are'} in use to ${Math.round(value)} %`
}
