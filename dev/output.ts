import { stripVTControlCharacters } from 'node:util'
import { printable } from '../mesh-config/agent/printable.ts'

/** As much of a colours library as is used here. */
export interface Colours {
  readonly isColorSupported: boolean
  readonly bold: Paint
  readonly dim: Paint
  readonly red: Paint
  readonly green: Paint
  readonly yellow: Paint
  readonly cyan: Paint
  readonly magenta: Paint
  readonly blue: Paint
}

export type Paint = (text: string) => string

/** Lines with a name before each. */
export interface Printer {
  /** What a program said, in the colour of its service. */
  line(name: string, colour: number, text: string): void
  /** What dev says of a program, or of itself. */
  note(name: string, colour: number, text: string, kind?: 'good' | 'bad' | 'plain'): void
  /** Whole lines, as they are. */
  block(text: string): void
}

/** The width of the names, for all lines alike. Names that come later may be longer. */
export function printer(write: (text: string) => void, colours: Colours, names: () => readonly string[]): Printer {
  const ring = [colours.cyan, colours.yellow, colours.green, colours.magenta, colours.blue]
  const prefix = (name: string, colour: number) => {
    const width = Math.max(...names().map(each => each.length), 3)
    const paint = colour < 0 ? colours.dim : ring[colour % ring.length]!
    return paint(`${name.padEnd(width)} |`)
  }
  const kinds = { good: colours.green, bad: colours.red, plain: (text: string) => text }
  return {
    line(name, colour, text) {
      // Programs may colour their own lines, which only a terminal can show.
      const shown = colours.isColorSupported ? text : stripVTControlCharacters(text)
      write(`${prefix(name, colour)} ${shown}\n`)
    },
    note: (name, colour, text, kind = 'plain') => write(`${prefix(name, colour)} ${kinds[kind](text)}\n`),
    block: text => write(text),
  }
}

/** Columns with two spaces between them; the first row is the heading. */
export function aligned(rows: readonly (readonly string[])[], colours: Colours): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map(row => row[column]!.length)))
  const lines = rows.map(row =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  )
  return lines.map((line, index) => `${index === 0 ? colours.bold(line) : line}\n`).join('')
}

/** The words of a JSON log line of ours; null: it is none, or not worth showing. */
export function warningOf(line: string): string | null {
  if (!line.startsWith('{')) return null
  try {
    const { level, msg, time: _, ...facts } = JSON.parse(line) as Record<string, unknown>
    if ((level !== 'warn' && level !== 'error') || typeof msg !== 'string') return null
    const pairs = Object.entries(facts).map(([name, value]) => ` ${name}=${String(value)}`)
    return printable(`${level}: ${msg}${pairs.join('')}`)
  } catch {
    return null
  }
}
