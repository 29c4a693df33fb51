import { printable } from '../core/printable.ts'

export type Align = 'left' | 'right'

/**
 * Rows as aligned columns, two spaces between them; the last column is not padded. Each cell is escaped, so it stays
 * on its line.
 */
export function columns(cells: readonly (readonly string[])[], align: readonly Align[] = [], indent = ''): string {
  const rows = cells.map(row => row.map(printable))
  const widths: number[] = []
  for (const row of rows)
    for (const [column, cell] of row.entries()) widths[column] = Math.max(widths[column] ?? 0, cell.length)
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) =>
        align[column] === 'right' ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
      )
      .join('  ')
  return rows.map(row => `${indent}${line(row)}`.trimEnd()).join('\n')
}

/** 1234567 -> 1,234,567 */
export function count(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',')
}

/** Three significant digits: `0.42 ms`, `12.3 ms`, `1.50 s`, `3m 20s`. */
export function duration(milliseconds: number): string {
  if (milliseconds < 1) return `${milliseconds.toFixed(2)} ms`
  if (milliseconds < 100) return `${milliseconds.toFixed(1)} ms`
  if (milliseconds < 1_000) return `${Math.round(milliseconds)} ms`
  if (milliseconds < 60_000) return `${(milliseconds / 1_000).toFixed(milliseconds < 10_000 ? 2 : 1)} s`
  const minutes = Math.floor(milliseconds / 60_000)
  if (minutes < 60) return `${minutes}m ${Math.floor((milliseconds % 60_000) / 1_000)}s`
  const hours = Math.floor(minutes / 60)
  return hours < 48 ? `${hours}h ${minutes % 60}m` : `${Math.floor(hours / 24)}d ${hours % 24}h`
}

/** `1 request`, `2 requests` */
export function plural(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`
}
