import { stripVTControlCharacters } from 'node:util'
import { printable } from '../../../proxy/core/printable.ts'
import type { Paint } from './style.ts'

/** A cell of a fixed width, padded before it is painted; what is too long is cut. */
export function cell(content: string, width: number, align: 'left' | 'right' = 'left', paint: Paint = plain): string {
  const text = printable(content)
  const cut = text.length > width ? `${text.slice(0, Math.max(0, width - 1))}~`.slice(0, width) : text
  const padding = ' '.repeat(width - cut.length)
  return align === 'left' ? `${paint(cut)}${padding}` : `${padding}${paint(cut)}`
}

export const plain: Paint = text => text

export function visibleWidth(text: string): number {
  return stripVTControlCharacters(text).length
}

/** The left text and, at the right edge, the right one; where both do not fit, the right one goes. */
export function spread(left: string, right: string, width: number): string {
  const gap = width - visibleWidth(left) - visibleWidth(right)
  return gap < 2 ? left : `${left}${' '.repeat(gap)}${right}`
}

export function milliseconds(value: number | null): string {
  if (value === null) return '-'
  if (value < 10) return `${value.toFixed(1)} ms`
  return value < 10_000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`
}

/** Never says 100 % of what was not all of it. */
export function success(share: number | null): string {
  if (share === null) return '-'
  return share === 1 ? '100 %' : `${Math.min(99.99, share * 100).toFixed(2)} %`
}

export function clock(seconds: number): string {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`
}

export function count(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',')
}
