import type { Wrong } from './wrong.ts'

/** Ports as users write them: `443`, or a range `8000-8010`. */
export interface PortRange {
  readonly from: number
  readonly to: number
}

export const portRangePattern = '^\\d{1,5}(-\\d{1,5})?$'

/** Null: neither a port nor a range of ports. */
export function parsePorts(input: string | number): PortRange | null {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(String(input))
  if (match === null) return null
  const from = Number(match[1])
  const to = match[2] === undefined ? from : Number(match[2])
  return from >= 1 && from <= to && to <= 65_535 ? { from, to } : null
}

/** For a value that the schema has accepted. */
export function portsOf(input: string | number): PortRange {
  const range = parsePorts(input)
  if (range === null) throw new Error(`not a port: ${input}`)
  return range
}

/** Null: it is a port or a range. */
export function wrongPorts(input: unknown): Wrong | null {
  const fix = 'write a port from 1 to 65535, or a range such as 8000-8010'
  if (typeof input !== 'string' && typeof input !== 'number')
    return { what: '{value} is not a port', fix, otherForm: typeof input === 'object' }
  return parsePorts(input) === null ? { what: '{value} is neither a port nor a range of ports', fix } : null
}

/** Sorted, and those that touch each other made one. */
export function mergePorts(ranges: readonly PortRange[]): PortRange[] {
  const merged: PortRange[] = []
  for (const range of [...ranges].sort((a, b) => a.from - b.from)) {
    const last = merged.at(-1)
    if (last !== undefined && range.from <= last.to + 1)
      merged[merged.length - 1] = { from: last.from, to: Math.max(last.to, range.to) }
    else merged.push(range)
  }
  return merged
}

export function formatPorts({ from, to }: PortRange): string {
  return from === to ? String(from) : `${from}-${to}`
}
