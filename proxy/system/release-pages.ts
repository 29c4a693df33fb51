import { readFileSync } from 'node:fs'

const MADV_DONTNEED = 4

/**
 * Gives back the pages of the Node binary and its libraries that only starting up needed: two thirds of an idle
 * sidecar's resident memory. Only clean, file-backed, read-only mappings are named, so a page that is wanted after all
 * is read again from the page cache, which all sidecars of a host share. Where the system is not Linux or this Node has
 * no FFI, nothing happens. docs/decisions has the figures.
 */
export function releaseStartupPages(): void {
  if (process.platform !== 'linux') return
  const madvise = findMadvise()
  if (madvise === null) return
  for (const { start, end } of cleanMappings(readFileSync('/proc/self/smaps', 'latin1')))
    madvise(start, end - start, MADV_DONTNEED)
}

type Madvise = (address: bigint, length: bigint, advice: number) => number

interface Ffi {
  dlopen(path: null, definitions: object): { readonly functions: { readonly madvise: Madvise } }
}

function findMadvise(): Madvise | null {
  const { emitWarning } = process
  try {
    // node:ffi warns on standard error that it is experimental; a user of the proxy cannot act on that.
    process.emitWarning = () => {}
    const ffi = process.getBuiltinModule('node:ffi') as unknown as Ffi | undefined
    return (
      ffi?.dlopen(null, { madvise: { arguments: ['pointer', 'u64', 'i32'], return: 'i32' } }).functions.madvise ?? null
    )
  } catch {
    return null
  } finally {
    process.emitWarning = emitWarning
  }
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
