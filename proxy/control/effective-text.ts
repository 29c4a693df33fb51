import type { Effective } from '../../mesh-config/effective.ts'
import { describeSource, effectiveLines } from '../../mesh-config/effective-yaml.ts'
import { printable } from '../core/printable.ts'

const MOST_WIDTH = 60

/** The effective configuration as YAML, the source of each value behind it. */
export function effectiveText(effective: Effective): string {
  const lines = effectiveLines(effective)
  const width = Math.min(MOST_WIDTH, Math.max(0, ...lines.map(({ text }) => text.length)))
  const shown = lines.map(({ text, source }) =>
    printable(source === null ? text : `${text.padEnd(width)}  # ${describeSource(source)}`),
  )
  return `${shown.join('\n')}\n`
}
