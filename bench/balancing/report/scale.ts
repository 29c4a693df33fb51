/** From a value to a place on an axis. */
export type Scale = (value: number) => number

/** Milliseconds or seconds as labels of a logarithmic axis. */
const TICKS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000] as const

/** Times differ by hundreds: equal distances are equal ratios. */
export function logScale(low: number, high: number, from: number, to: number): Scale {
  const whole = Math.log(high / low)
  return value => from + ((to - from) * Math.log(Math.min(high, Math.max(low, value)) / low)) / whole
}

export function linearScale(low: number, high: number, from: number, to: number): Scale {
  return value => from + ((to - from) * (Math.min(high, Math.max(low, value)) - low)) / (high - low)
}

export interface Axis {
  readonly low: number
  readonly high: number
  readonly ticks: readonly number[]
}

/** From a round number below the least to one above the greatest. */
export function timeAxis(values: readonly number[]): Axis {
  const low = TICKS.findLast(tick => tick <= Math.min(...values)) ?? TICKS[0]
  const high = TICKS.find(tick => tick >= Math.max(...values)) ?? TICKS.at(-1)!
  return { low, high, ticks: TICKS.filter(tick => tick >= low && tick <= high) }
}

export function tickLabel(ms: number): string {
  return ms >= 1000 ? `${ms / 1000} s` : `${ms} ms`
}
