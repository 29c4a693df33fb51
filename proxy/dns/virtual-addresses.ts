import { parsePrefix64, parseRange } from '../../mesh-config/address-range.ts'
import { hash32 } from '../core/hash.ts'

/** Services that have an address at a time. */
const MOST = 20_000
/** An address is not given to another service before this time without use: clients keep what they were told. */
const KEPT_MS = 24 * 3_600_000
/** The prefix that `auto` stands for: "outrigg" in the bytes after `fd`. */
const USUAL_PREFIX = 'fd6f:7574:7269:6767::/64'

export interface VirtualAddress {
  readonly service: string
  readonly address: string
  /** Empty: there is none. */
  readonly address6: string
  readonly bytes: Buffer
  readonly bytes6: Buffer | null
  /** Wall time. */
  usedAt: number
}

/**
 * The virtual addresses of services: where a name hashes to, or the next free place after it. So sidecars that know the
 * same services nearly always give them the same addresses.
 */
export interface VirtualAddresses {
  /** Null: it has none. */
  get(service: string): VirtualAddress | null
  /** Gives it one where it has none; null: there is no room. `dropped`: services that had to give theirs. */
  assign(
    service: string,
    now: number,
  ): { readonly given: VirtualAddress; readonly dropped: VirtualAddress | null } | null
  /** By the bytes of an address, of either family. `inside`: it could be one. */
  at(bytes: readonly number[]): { readonly inside: boolean; readonly found: VirtualAddress | null }
  all(): Iterable<VirtualAddress>
  readonly size: number
  /** As JSON, for the next process. */
  saved(): string
}

export interface VirtualAddressesOptions {
  /** As `240.64.0.0/10`. */
  readonly addresses: string
  /** Null: no IPv6 addresses. */
  readonly prefix: string | null
  /** What an earlier process saved; empty: nothing. Anything that does not fit is left out. */
  readonly saved: string
  readonly most?: number
}

export function usualPrefix(setting: string, hasIpv6: () => boolean): string | null {
  if (setting === 'off') return null
  if (setting !== 'auto') return setting
  return hasIpv6() ? USUAL_PREFIX : null
}

export function virtualAddresses(options: VirtualAddressesOptions): VirtualAddresses {
  const { first, size } = parseRange(options.addresses)!
  const prefix = options.prefix === null ? null : parsePrefix64(options.prefix)!
  const most = Math.min(options.most ?? MOST, Math.floor(size / 2))
  const byService = new Map<string, VirtualAddress>()
  const byPlace = new Map<number, VirtualAddress>()

  function put(service: string, place: number, usedAt: number): VirtualAddress {
    const bytes = Buffer.alloc(4)
    bytes.writeUInt32BE(first + place)
    const bytes6 = prefix === null ? null : sixteen(prefix, bytes)
    const address6 = prefix === null ? '' : text6([...prefix, 0, 0, bytes.readUInt16BE(0), bytes.readUInt16BE(2)])
    const made = { service, address: bytes.join('.'), address6, bytes, bytes6, usedAt }
    byService.set(service, made)
    byPlace.set(place, made)
    return made
  }

  function placeFor(service: string): number {
    for (let place = hash32(service) % size; ; place = (place + 1) % size)
      if (!byPlace.has(place) && isSound(first + place)) return place
  }

  function remove(old: VirtualAddress): void {
    byService.delete(old.service)
    byPlace.delete(old.bytes.readUInt32BE() - first)
  }

  /** The one unused for the longest, if that is long enough. */
  function removeOldest(now: number): VirtualAddress | null {
    let oldest: VirtualAddress | null = null
    for (const each of byService.values()) if (oldest === null || each.usedAt < oldest.usedAt) oldest = each
    if (oldest === null || now - oldest.usedAt < KEPT_MS) return null
    remove(oldest)
    return oldest
  }

  for (const { service, address, usedAt } of readSaved(options.saved)) {
    const place = address - first
    const fits = place >= 0 && place < size && !byPlace.has(place) && !byService.has(service) && byService.size < most
    if (fits && isSound(address)) put(service, place, usedAt)
  }

  return {
    get: service => byService.get(service) ?? null,
    assign(service, now) {
      const known = byService.get(service)
      if (known !== undefined) {
        known.usedAt = now
        return { given: known, dropped: null }
      }
      const dropped = byService.size < most ? null : removeOldest(now)
      if (byService.size >= most) return null
      return { given: put(service, placeFor(service), now), dropped }
    },
    at(bytes) {
      const four = bytes.length === 4 ? bytes : bytes.slice(12)
      const isOurs =
        bytes.length === 4 || (prefix !== null && bytes.slice(0, 12).every((b, i) => b === head(prefix, i)))
      const place = four.reduce((sum, byte) => sum * 256 + byte, 0) - first
      const inside = isOurs && place >= 0 && place < size
      return { inside, found: inside ? (byPlace.get(place) ?? null) : null }
    },
    all: () => byService.values(),
    get size() {
      return byService.size
    },
    saved: () =>
      `${JSON.stringify({
        version: 1,
        addresses: Object.fromEntries([...byService.values()].map(each => [each.service, [each.address, each.usedAt]])),
      })}\n`,
  }
}

/** Some software takes .0 and .255 for the addresses of a network. */
function isSound(address: number): boolean {
  const last = address % 256
  return last !== 0 && last !== 255
}

function sixteen(prefix: readonly number[], four: Buffer): Buffer {
  const bytes = Buffer.alloc(16)
  for (const [index, group] of prefix.entries()) bytes.writeUInt16BE(group, index * 2)
  four.copy(bytes, 12)
  return bytes
}

/** A byte of the part that all have in common. */
function head(prefix: readonly number[], index: number): number {
  const group = prefix[index >> 1] ?? 0
  return (index & 1) === 0 ? group >> 8 : group & 0xff
}

/** As the system writes it (RFC 5952): small letters, the longest run of zeros left out. */
export function text6(groups: readonly number[]): string {
  let start = -1
  let length = 1
  for (let i = 0; i < groups.length; i++) {
    let end = i
    while (end < groups.length && groups[end] === 0) end++
    if (end - i > length) {
      start = i
      length = end - i
    }
    i = Math.max(i, end - 1)
  }
  const words = (some: readonly number[]) => some.map(group => group.toString(16)).join(':')
  if (start < 0) return words(groups)
  return `${words(groups.slice(0, start))}::${words(groups.slice(start + length))}`
}

interface SavedAddress {
  readonly service: string
  readonly address: number
  readonly usedAt: number
}

function readSaved(text: string): SavedAddress[] {
  if (text === '') return []
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return []
  }
  const { addresses } = (parsed ?? {}) as { addresses?: unknown }
  if (typeof addresses !== 'object' || addresses === null) return []
  return Object.entries(addresses).flatMap(([service, entry]) => {
    const [address, usedAt] = Array.isArray(entry) ? (entry as unknown[]) : []
    const range = typeof address === 'string' ? parseRange(`${address}/32`) : null
    if (range === null || typeof usedAt !== 'number' || !Number.isFinite(usedAt)) return []
    return [{ service, address: range.first, usedAt }]
  })
}
