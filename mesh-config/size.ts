/** Sizes as a user writes them (`512B`, `64KiB`, `1MiB`, `0`) and as the proxy runs on them: bytes. */

const unitBytes = { GiB: 1024 ** 3, MiB: 1024 ** 2, KiB: 1024, B: 1 } as const

export const sizePattern = '^(0|\\d+(B|KiB|MiB|GiB))$'

/** Null: not a size. */
export function parseSize(text: string): number | null {
  if (text === '0') return 0
  const match = /^(\d+)(B|KiB|MiB|GiB)$/.exec(text)
  if (match === null) return null
  const bytes = Number(match[1]) * unitBytes[match[2] as keyof typeof unitBytes]
  return Number.isSafeInteger(bytes) ? bytes : null
}

/** For text that the schema has accepted. */
export function sizeBytes(text: string | 0): number {
  const parsed = parseSize(String(text))
  if (parsed === null) throw new Error(`not a size: ${text}`)
  return parsed
}

/** The shortest way to write it with one unit; `parseSize` gives the same bytes back. */
export function formatSize(bytes: number): string {
  if (bytes === 0) return '0'
  for (const unit of ['GiB', 'MiB', 'KiB'] as const)
    if (bytes % unitBytes[unit] === 0) return `${bytes / unitBytes[unit]}${unit}`
  return `${bytes}B`
}

/**
 * What was probably meant by a text that is not a size: `64kb` -> `64KiB`, `1 M` -> `1MiB`, `4096` -> `4KiB`. Null:
 * unknown.
 */
export function guessSize(input: string | number): string | null {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([kmg]?)(?:i?b|bytes?)?\s*$/i.exec(String(input))
  if (match === null) return null
  const unit = ({ k: 'KiB', m: 'MiB', g: 'GiB' } as const)[match[2]!.toLowerCase()] ?? 'B'
  const bytes = Math.round(Number(match[1]) * unitBytes[unit])
  return Number.isSafeInteger(bytes) ? formatSize(bytes) : null
}
