import type { Spread } from '../results.ts'

/** Three digits that count: 4.27, 17.8, 1,234. */
export function figure(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString('en-US')
  return value.toFixed(value >= 10 ? 1 : 2)
}

export function ratio(value: number | null): string {
  return value === null ? '' : `${value.toFixed(2)} x`
}

/** Empty for a single sample, which has no spread. */
export function range({ min, max, samples }: Spread): string {
  return samples > 1 ? `${figure(min)} - ${figure(max)}` : ''
}

export function duration(us: number): string {
  return us >= 1000 ? `${figure(us / 1000)} ms` : `${Math.round(us)} us`
}
