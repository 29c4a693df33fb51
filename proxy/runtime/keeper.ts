import type { Change } from './change.ts'

/** Something that lives on over snapshots. */
export interface Kept<Value> {
  readonly value: Value
  /** No snapshot has it any more. */
  close(): void
}

/** What a snapshot that is being prepared has. */
export interface Keeping<Value> extends Change {
  /** The one of this key: as it is where the snapshot in force has it, else made now. */
  keep(key: string, make: () => Kept<Value>): void
  /** One that is kept. */
  of(key: string): Value
  abandon(): void
}

/** Keeps things by key from one snapshot to the next. */
export function keeper<Value>(): () => Keeping<Value> {
  let inForce: ReadonlyMap<string, Kept<Value>> = new Map()
  return () => {
    const before = inForce
    const next = new Map<string, Kept<Value>>()
    return {
      keep: (key, make) => void next.set(key, next.get(key) ?? before.get(key) ?? make()),
      of: key => next.get(key)!.value,
      commit() {
        closeOthers(before, next)
        inForce = next
      },
      abandon: () => closeOthers(next, before),
    }
  }
}

function closeOthers<Value>(one: ReadonlyMap<string, Kept<Value>>, other: ReadonlyMap<string, Kept<Value>>): void {
  for (const [key, kept] of one) if (!other.has(key)) kept.close()
}
