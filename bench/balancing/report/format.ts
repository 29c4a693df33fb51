import { figure } from '../../load/report/format.ts'

/** Three digits that count: 15.3 ms, 231 ms, 1.24 s. */
export function time(ms: number): string {
  if (Number.isNaN(ms)) return 'none'
  return ms >= 1000 ? `${figure(ms / 1000)} s` : `${figure(ms)} ms`
}

/** 0 is none at all. */
export function percent(part: number): string {
  if (part === 0) return '0 %'
  const value = 100 * part
  return value < 0.01 ? '< 0.01 %' : `${figure(Number(value.toPrecision(3)))} %`
}
