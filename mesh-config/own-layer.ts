import { parseJson } from './bounded-json.ts'
import type { Located, Path, Position } from './located.ts'
import { own } from './own.ts'
import { formatPath } from './value-path.ts'
import { MAX_DEPTH } from './yaml-bounds.ts'

/**
 * The last layer of a policy, as a proxy sends it: `{"policy": {...}, "at": {"retries.attempts": "sidecar.yaml:12"}}`.
 * Throws where it is not of this form.
 */
export function locateOwnLayer(json: string): Located {
  const layer = parseJson(json)
  const { policy, at } = (layer ?? {}) as { policy?: unknown; at?: unknown }
  const places = isMap(at) ? at : {}
  if (!isMap(policy)) throw new Error('it has no policy')
  return locate(policy, [], { file: OWN_FILE, line: 1, column: 1 }, places)
}

const OWN_FILE = "the sidecar's own file"

function locate(value: unknown, path: Path, around: Position, places: Readonly<Record<string, unknown>>): Located {
  if (path.length > MAX_DEPTH) throw new Error(`it is nested deeper than ${MAX_DEPTH} levels`)
  const at = positionOf(own(places, formatPath(path))) ?? around
  if (Array.isArray(value))
    return { kind: 'list', at, items: value.map((item, index) => locate(item, [...path, index], at, places)) }
  if (isMap(value)) {
    const entries = Object.entries(value).map(
      ([key, inner]) => [key, { keyAt: at, node: locate(inner, [...path, key], at, places) }] as const,
    )
    return { kind: 'map', at, entries: new Map(entries) }
  }
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' || value === null)
    return { kind: 'scalar', at, value, written: null }
  throw new Error('it has a value that is no JSON')
}

/** `sidecar.yaml:12`, perhaps with a column. */
function positionOf(text: unknown): Position | null {
  const match = typeof text === 'string' ? /^(.*?):(\d+)(?::(\d+))?$/s.exec(text) : null
  if (match === null) return null
  return { file: match[1]!, line: Number(match[2]), column: Number(match[3] ?? 1) }
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
