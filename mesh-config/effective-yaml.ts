import type { Effective, Source } from './effective.ts'
import type { Path } from './located.ts'
import { formatPath, isLeaf } from './value-path.ts'

/** One line of YAML and where its value came from; null for a line that only opens a map or a list. */
export interface EffectiveLine {
  readonly text: string
  readonly source: Source | null
}

/** The effective config as YAML, line by line, so that its printer can align and colour. */
export function effectiveLines({ config, sources }: Effective): EffectiveLine[] {
  const lines: EffectiveLine[] = []
  const visit = (value: unknown, path: Path, indent: string, lead: string): void => {
    const entries: [string | number, unknown][] = Array.isArray(value)
      ? [...value.entries()]
      : Object.entries(value as Record<string, unknown>)
    for (const [index, [key, inner]] of entries.entries()) {
      const start = index === 0 ? lead : indent
      const mark = typeof key === 'number' ? '- ' : `${scalar(key)}:`
      const at = [...path, key]
      if (isLeaf(inner))
        lines.push({
          text: `${start}${mark}${typeof key === 'number' ? '' : ' '}${leaf(inner)}`,
          source: sources[formatPath(at)] ?? null,
        })
      else if (typeof key === 'number') visit(inner, at, `${indent}  `, `${start}- `)
      else {
        lines.push({ text: `${start}${mark}`, source: null })
        visit(inner, at, `${indent}  `, `${indent}  `)
      }
    }
  }
  visit(config, [], '', '')
  return lines
}

export function describeSource({ at, why, environment }: Source): string {
  if (at === null && environment !== undefined) return `from ${environment}`
  if (at === null) return why === undefined ? 'default' : `default: ${why}`
  return environment === undefined ? at : `${at} ${environment}`
}

function leaf(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(item => scalar(item, true)).join(', ')}]`
  return typeof value === 'object' && value !== null ? '{}' : scalar(value)
}

/** Plain where YAML reads it back as the same text, else in double quotes (JSON's are YAML's). */
function scalar(value: unknown, inList = false): string {
  if (typeof value !== 'string') return String(value)
  const isPlain =
    /^[A-Za-z0-9_./(][A-Za-z0-9_./:@ ()*-]*$/.test(value) &&
    !/: |:$| $|^[-+.\d][\d_.eE+-]*$|^0[xo]|^(true|false|null|~)$/i.test(value)
  return isPlain && !(inList && /[[\]{},]/.test(value)) ? value : JSON.stringify(value).replaceAll('${', () => '$${')
}
