import CliTable from 'cli-table3'
import pc from 'picocolors'
import type { Cell, Table } from './tables.ts'

const TONES = { good: pc.green, bad: pc.red, quiet: pc.dim, strong: pc.bold } as const

// biome-ignore format: it reads as the frame it is
const FRAME = {
  top: '', 'top-mid': '', 'top-left': '', 'top-right': '',
  bottom: '', 'bottom-mid': '', 'bottom-left': '', 'bottom-right': '',
  left: '', 'left-mid': '', mid: '', 'mid-mid': '', right: '', 'right-mid': '', middle: ' ',
}

/** Coloured only where the terminal is one (and NO_COLOR is not set). */
export function renderForTerminal(table: Table): string {
  const lines = new CliTable({
    head: table.head.map(text => pc.dim(text)),
    chars: FRAME,
    style: { head: [], border: [], 'padding-left': 1, 'padding-right': 1 },
    colAligns: table.head.map((_, column) => (column === 0 ? 'left' : 'right')),
  })
  table.rows.forEach((row, index) => {
    const group = table.groups?.get(index)
    if (group !== undefined) lines.push([{ content: pc.underline(group), colSpan: table.head.length }])
    lines.push(
      row.map((cell, column) => (column === 0 && table.groups !== undefined ? `  ${paint(cell)}` : paint(cell))),
    )
  })
  return `${pc.bold(table.title)}\n${lines.toString()}\n`
}

export function paint({ text, tone }: Cell): string {
  return tone === undefined ? text : TONES[tone](text)
}
