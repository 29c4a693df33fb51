import type { SeriesSpec } from '../core/channel.ts'
import { printable } from '../core/printable.ts'
import { HISTOGRAM_SLOTS, octaveOf } from '../core/slots.ts'

/** One series of the exposition: the sum over the data threads, ended ones included. */
export interface Series {
  readonly labels: Readonly<Record<string, string>>
  readonly slots: number
  /** By data thread. */
  readonly parts: Map<number, Part>
  /** What ended data threads counted, so that a counter never decreases; null: nothing. */
  carried: Float64Array | null
  /** Set for a value of the control thread itself. */
  readonly read: (() => number) | null
  /** Of a histogram, by bucket: the last traced request that a data thread told of; null: none. */
  exemplars: Map<number, Exemplar> | null
}

export interface Exemplar {
  readonly traceId: string
  /** Seconds. */
  readonly value: number
  /** Seconds since the epoch. */
  readonly at: number
}

interface Part {
  readonly values: Float64Array
  readonly index: number
}

export interface Family {
  readonly name: string
  readonly help: string
  /** `untyped`: only of views. */
  readonly type: SeriesSpec['type'] | 'untyped'
  readonly series: Map<string, Series>
  /** Of a histogram: what its bounds are shown in; absent: seconds. */
  readonly unit?: 'milliseconds'
}

/** The series of /metrics: announced by messages of the data threads, read from the shared slots. */
export interface SeriesStore {
  page(thread: number, page: number, memory: SharedArrayBuffer): void
  add(thread: number, id: number, spec: SeriesSpec): void
  retire(thread: number, ids: readonly number[]): void
  /** Idle series: what this data thread counted stays as long as another one goes on with them. */
  expire(thread: number, ids: readonly number[], values: readonly Float64Array[]): void
  exemplar(thread: number, id: number, exemplar: Exemplar): void
  /** A data thread has ended: its counters stay, its gauges go. */
  ended(thread: number): void
  /**
   * Removes series that only ended threads have counted: after a snapshot that may have dropped their endpoints and
   * routes.
   */
  forgetEnded(): void
  /** A value of the control thread's own, read at each scrape. */
  own(
    name: string,
    help: string,
    type: 'counter' | 'gauge',
    labels: Readonly<Record<string, string>>,
    read: () => number,
  ): void
  disown(name: string, labels: Readonly<Record<string, string>>): void
  families(): Iterable<Family>
  size(): number
}

interface Thread {
  readonly pages: Float64Array[]
  readonly ids: Map<number, { readonly family: Family; readonly key: string }>
}

export function seriesStore(): SeriesStore {
  const families = new Map<string, Family>()
  const threads = new Map<number, Thread>()

  function threadOf(index: number): Thread {
    let thread = threads.get(index)
    if (thread === undefined) {
      thread = { pages: [], ids: new Map() }
      threads.set(index, thread)
    }
    return thread
  }

  function familyOf(name: string, help: string, type: SeriesSpec['type']): Family {
    let family = families.get(name)
    if (family === undefined) {
      family = { name, help, type, series: new Map() }
      families.set(name, family)
    }
    return family
  }

  function drop(family: Family, key: string): void {
    family.series.delete(key)
    if (family.series.size === 0) families.delete(family.name)
  }

  return {
    page(index, page, memory) {
      threadOf(index).pages[page] = new Float64Array(memory)
    },
    add(index, id, { name, help, type, labels, page, index: slot }) {
      const thread = threadOf(index)
      const values = thread.pages[page]
      if (values === undefined)
        throw new Error(`series ${name} lies in page ${page}, which data thread ${index} has not sent`)
      const family = familyOf(name, help, type)
      const key = keyOf(labels)
      let series = family.series.get(key)
      if (series === undefined) {
        series = {
          labels: shown(labels),
          slots: type === 'histogram' ? HISTOGRAM_SLOTS : 1,
          parts: new Map(),
          carried: null,
          read: null,
          exemplars: null,
        }
        family.series.set(key, series)
      }
      series.parts.set(index, { values, index: slot })
      thread.ids.set(id, { family, key })
    },
    retire(index, ids) {
      const thread = threadOf(index)
      for (const id of ids) {
        const found = thread.ids.get(id)
        if (found === undefined) continue
        thread.ids.delete(id)
        const series = found.family.series.get(found.key)
        series?.parts.delete(index)
        if (series?.parts.size === 0) drop(found.family, found.key)
      }
    },
    expire(index, ids, values) {
      const { ids: known } = threadOf(index)
      for (const [i, id] of ids.entries()) {
        const found = known.get(id)
        const series = found?.family.series.get(found.key)
        known.delete(id)
        if (found === undefined || series === undefined) continue
        series.parts.delete(index)
        if (series.parts.size === 0) drop(found.family, found.key)
        else carry(series, { values: values[i]!, index: 0 })
      }
    },
    exemplar(index, id, exemplar) {
      const found = threadOf(index).ids.get(id)
      const series = found?.family.series.get(found.key)
      if (series === undefined) return
      series.exemplars ??= new Map()
      series.exemplars.set(octaveOf(exemplar.value), exemplar)
    },
    ended(index) {
      for (const { family, key } of threadOf(index).ids.values()) {
        const series = family.series.get(key)
        const part = series?.parts.get(index)
        if (series === undefined || part === undefined) continue
        series.parts.delete(index)
        if (family.type !== 'gauge') carry(series, part)
        else if (series.parts.size === 0) drop(family, key)
      }
      threads.delete(index)
    },
    forgetEnded() {
      for (const family of [...families.values()]) {
        for (const [key, series] of [...family.series])
          if (series.parts.size === 0 && series.read === null) drop(family, key)
      }
    },
    own(name, help, type, labels, read) {
      familyOf(name, help, type).series.set(keyOf(labels), {
        labels: shown(labels),
        slots: 1,
        parts: new Map(),
        carried: null,
        read,
        exemplars: null,
      })
    },
    disown(name, labels) {
      const family = families.get(name)
      if (family !== undefined) drop(family, keyOf(labels))
    },
    families: () => families.values(),
    size() {
      let size = 0
      for (const family of families.values()) size += family.series.size
      return size
    },
  }
}

/** The value of one slot, over all threads. */
export function sumOf(series: Series, slot: number): number {
  if (series.read !== null) return series.read()
  let sum = series.carried === null ? 0 : series.carried[slot]!
  for (const { values, index } of series.parts.values()) sum += values[index + slot]!
  return sum
}

function carry(series: Series, part: Part): void {
  series.carried ??= new Float64Array(series.slots)
  for (let slot = 0; slot < series.slots; slot++) series.carried[slot]! += part.values[part.index + slot]!
}

/**
 * Escapes labels: the exposition's own escapes cover line ends and quotes only, and people read it in terminals too.
 */
function shown(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(labels).map(([name, value]) => [name, printable(value)]))
}

function keyOf(labels: Readonly<Record<string, string>>): string {
  let key = ''
  for (const name of Object.keys(labels).sort()) key += `${name}\u0000${labels[name]}\u0001`
  return key
}
