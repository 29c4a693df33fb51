/** A range of IPv4 addresses, as `240.64.0.0/10` writes it. */
export interface AddressRange {
  /** As a number. */
  readonly first: number
  readonly size: number
}

/** Null: no such range. */
export function parseRange(text: string): AddressRange | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(text)
  if (match === null) return null
  const bytes = match.slice(1, 5).map(Number)
  const prefix = Number(match[5])
  if (bytes.some(byte => byte > 255) || prefix > 32) return null
  const size = 2 ** (32 - prefix)
  const first = bytes.reduce((sum, byte) => sum * 256 + byte, 0)
  return first % size === 0 ? { first, size } : null
}

/** The first four of the eight groups of `fd12:3456:789a:bcde::/64`; null: no such prefix. */
export function parsePrefix64(text: string): readonly number[] | null {
  const match = /^(fd[0-9a-f]{2}(?::[0-9a-f]{1,4}){0,3})::\/64$/i.exec(text)
  if (match === null) return null
  const groups = match[1]!.split(':').map(group => Number.parseInt(group, 16))
  return [...groups, 0, 0, 0].slice(0, 4)
}
