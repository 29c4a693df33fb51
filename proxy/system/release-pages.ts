import { readFileSync } from 'node:fs'
import { functionsOf } from './libc.ts'

const MADV_DONTNEED = 4

/**
 * Gives back the pages of the Node binary and its libraries that only starting up needed: two thirds of an idle
 * sidecar's resident memory. Only clean, file-backed, read-only mappings are named, so a page that is wanted after all
 * is read again from the page cache, which all sidecars of a host share. Where the system is not Linux or this Node has
 * no FFI, nothing happens. docs/decisions has the figures.
 */
export function releaseStartupPages(): void {
  if (process.platform !== 'linux') return
  const libc = findLibc()
  if (libc === null) return
  // Free memory of malloc that lies between what is used.
  libc.trim?.(0n)
  for (const { start, end } of cleanMappings(readFileSync('/proc/self/smaps', 'latin1')))
    libc.madvise(start, end - start, MADV_DONTNEED)
}

/** Bytes of memory that this process has now; null: the system does not say. */
export function residentBytes(): number | null {
  if (process.platform !== 'linux') return null
  const kilobytes = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1]
  return kilobytes === undefined ? null : Number(kilobytes) * 1024
}

type Madvise = (address: bigint, length: bigint, advice: number) => number

type Trim = (pad: bigint) => number

interface Libc {
  readonly madvise: Madvise
  /** Null: another libc than that of GNU. */
  readonly trim: Trim | null
}

function findLibc(): Libc | null {
  const madvise = functionsOf({ madvise: { arguments: ['pointer', 'u64', 'i32'], return: 'i32' } })?.madvise
  const trim = functionsOf({ malloc_trim: { arguments: ['u64'], return: 'i32' } })?.malloc_trim
  return madvise === undefined ? null : { madvise: madvise as Madvise, trim: (trim as Trim | undefined) ?? null }
}

interface Mapping {
  readonly start: bigint
  readonly end: bigint
}

/**
 * Mappings of files without a page of our own in them: text and constants. A relocated page (RELRO) counts as dirty and
 * keeps its mapping out.
 */
export function cleanMappings(smaps: string): Mapping[] {
  const found: Mapping[] = []
  for (const entry of smaps.split(/\n(?=[0-9a-f]+-[0-9a-f]+ )/)) {
    const header = /^([0-9a-f]+)-([0-9a-f]+) (r-[x-]p) \S+ \S+ (\d+)/.exec(entry)
    if (
      header === null ||
      header[4] === '0' ||
      !/^Private_Dirty: +0 kB$/m.test(entry) ||
      !/^Anonymous: +0 kB$/m.test(entry)
    )
      continue
    found.push({ start: BigInt(`0x${header[1]}`), end: BigInt(`0x${header[2]}`) })
  }
  return found
}
