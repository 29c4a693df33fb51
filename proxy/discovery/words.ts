import { printable } from '../core/printable.ts'

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The first line with content of a foreign text, printable and bounded. */
export function firstLine(text: string, atMost = 200): string {
  const line = printable(text.trim().split(/[\r\n]/, 1)[0]!)
  return line.length > atMost ? `${line.slice(0, atMost - 3)}...` : line
}
