/**
 * Whether two pieces of a snapshot say the same: plain data, compared value by value. The order of keys does not
 * count; of lists it does.
 */
export function isSame(a: unknown, b: unknown): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a)) return Array.isArray(b) && a.length === b.length && a.every((item, i) => isSame(item, b[i]))
  return !Array.isArray(b) && isSameRecord(a as PlainRecord, b as PlainRecord)
}

type PlainRecord = Readonly<Record<string, unknown>>

function isSameRecord(a: PlainRecord, b: PlainRecord): boolean {
  let count = 0
  for (const key in a) {
    if (!Object.hasOwn(b, key) || !isSame(a[key], b[key])) return false
    count++
  }
  return count === Object.keys(b).length
}
