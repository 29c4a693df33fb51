import { stripVTControlCharacters } from 'node:util'
import { printable } from '../proxy/core/printable.ts'

export type Paint = (text: string) => string
export const plain: Paint = text => text

export interface Cell {
  readonly text: string
  readonly paint?: Paint
  readonly right?: true
}

/**
 * Rows with aligned columns, none wider than `width`: what is too long in the last column that is aligned left is cut,
 * and then columns from the right are left out. `keep`: so many columns from the left always stay.
 */
export function table(rows: readonly (readonly (Cell | string)[])[], width: number, keep = 2): string[] {
  const cells = rows.map(row => row.map(cell => (typeof cell === 'string' ? { text: printable(cell) } : clean(cell))))
  const columns = Math.max(0, ...cells.map(row => row.length))
  const widths = Array.from({ length: columns }, (_, i) => Math.max(0, ...cells.map(row => row[i]?.text.length ?? 0)))
  let count = columns
  const needed = () => widths.slice(0, count).reduce((sum, each) => sum + each + 2, -2)
  while (count > keep && needed() > width) {
    const last = count - 1
    const excess = needed() - width
    // A long last column (a reason) is cut rather than left out.
    if (widths[last]! - excess >= 16) {
      widths[last]! -= excess
      break
    }
    count--
  }
  if (needed() > width) {
    const widest = widths.slice(0, count).reduce((best, each, i, all) => (each > all[best]! ? i : best), 0)
    widths[widest] = Math.max(4, widths[widest]! - (needed() - width))
  }
  return cells.map(row =>
    row
      .slice(0, count)
      .map((cell, i) => fit(cell, widths[i]!))
      .join('  ')
      .trimEnd(),
  )
}

function clean(cell: Cell): Cell {
  return { ...cell, text: printable(cell.text) }
}

function fit({ text, paint = plain, right }: Cell, width: number): string {
  const shown = text.length > width ? `${text.slice(0, Math.max(0, width - 1))}~`.slice(0, width) : text
  const padding = ' '.repeat(width - shown.length)
  return right === true ? padding + paint(shown) : paint(shown) + padding
}

/** Cut to the width, colours counted for nothing. */
export function cut(line: string, width: number): string {
  if (stripVTControlCharacters(line).length <= width) return line
  let room = width - 1
  let shown = ''
  for (const part of line.split(/(\x1b\[[0-9;]*m)/)) {
    if (part.startsWith('\x1b[')) shown += part
    else {
      shown += part.slice(0, room)
      room -= Math.min(room, part.length)
    }
  }
  return `${shown}~`
}

/** How long ago or for how long, in at most two units. */
export function span(ms: number): string {
  const seconds = Math.round(ms / 1000)
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min${seconds % 60 === 0 ? '' : ` ${seconds % 60} s`}`
  const hours = Math.floor(seconds / 3600)
  if (hours < 48) return `${hours} h ${Math.floor((seconds % 3600) / 60)} min`
  return `${Math.floor(hours / 24)} days`
}

export function milliseconds(value: number | null): string {
  if (value === null) return '-'
  if (value < 10) return `${value.toFixed(1)} ms`
  return value < 10_000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`
}

/** Never says 100 % of what was not all of it. */
export function percent(share: number | null): string {
  if (share === null) return '-'
  return share === 1 ? '100 %' : `${Math.min(99.99, share * 100).toFixed(2)} %`
}

export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`
}
