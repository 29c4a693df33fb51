import { readdirSync, readFileSync, statSync } from 'node:fs'
import { getHeapStatistics } from 'node:v8'

const OWN = '/proc/self/fd'
/** Where they have to be counted one by one. */
const COUNT_EVERY_MS = 10_000

/** Of the heap limit of this thread, what is in use. */
export function heapShare(): number {
  const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics()
  return used / limit
}

let limit = -1
let counted = 0
let countedAt = Number.NEGATIVE_INFINITY

/** Of the file descriptors that this process may have, those that it has. 0 where the system does not tell. */
export function descriptorShare(nowMs: number): number {
  if (limit < 0) limit = descriptorLimit()
  if (limit === 0) return 0
  try {
    // Linux tells since 6.2.
    const { size } = statSync(OWN)
    if (size > 0) return size / limit
    if (nowMs - countedAt >= COUNT_EVERY_MS) {
      countedAt = nowMs
      counted = readdirSync(OWN).length
    }
    return counted / limit
  } catch {
    return 0
  }
}

/** 0: not known, or none. */
function descriptorLimit(): number {
  try {
    const found = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))
    return found === null ? 0 : Number(found[1])
  } catch {
    return 0
  }
}
