import { parseJson } from '../../../mesh-config/bounded-json.ts'
import type { Clock, Random } from '../../core/clock.ts'
import { backOffMs, pause } from '../pause.ts'
import { messageOf } from '../words.ts'
import type { KubernetesApi } from './api.ts'
import { type Json, listOf, mapOf, textOf } from './objects.ts'
import { isDenied, isExpired, isLost, KubernetesTrouble, NONSENSE } from './trouble.ts'

export interface CollectionOptions<Item> {
  /** `/api/v1/namespaces/shop/services` */
  readonly path: string
  /** Of labels; empty: all. Asked for before each list; the watch behind it has the same. */
  readonly selector: () => string
  readonly read: (object: Json) => Item
  /** What the token needs, in words. */
  readonly rights: string
  readonly most: number
  /** These have changed, by name; null: all may have. `deleted`: they were said to be deleted. */
  readonly onChange: (changed: ReadonlySet<string> | null, deleted: ReadonlySet<string>) => void
  /** The API server has said that nothing else has changed, or answers again. */
  readonly onConfirmed: () => void
  readonly onTrouble: (reason: string) => void
}

export interface CollectionDeps {
  readonly api: Pick<KubernetesApi, 'get' | 'stream'>
  readonly clock: Clock
  readonly random: Random
}

/** All objects of a kind in a namespace, kept as they are now: listed once, and then watched. */
export interface Collection<Item> {
  /** By name. */
  readonly items: ReadonlyMap<string, Item>
  /** It was listed once. */
  isListed(): boolean
  /** Why it is not kept now; empty: it is. */
  trouble(): string
  /** Lists at once what there is. */
  relist(): void
  stop(): void
}

const PAGE = 500
/** A watch ends by itself after a time between these, so that those of many sidecars do not end together. */
const WATCH_S = [240, 480] as const
/** A watch that ends so soon and says nothing is asked for less and less often. */
const SOON_MS = 1_000
const MAX_BACK_OFF_MS = 30_000
/** People wait for the token, or the rights, that they have just corrected. */
const MAX_DENIED_MS = 10_000

/**
 * The rules are those of https://kubernetes.io/docs/reference/using-api/api-concepts/: a list has a version, a watch
 * begins there, every event and bookmark moves it on, and a watch that breaks is resumed from the last one. A version
 * that is too old (410 Gone) means to list again. The first list may be somewhat old, which costs the API server least;
 * later ones are not older than what is known.
 */
export function collection<Item>(options: CollectionOptions<Item>, deps: CollectionDeps): Collection<Item> {
  const { path, rights, most } = options
  const { api, clock, random } = deps
  const tooMany = `there are more than ${most} objects at ${path}`
  const end = new AbortController()
  let items = new Map<string, Item>()
  let isListed = false
  let isToList = true
  /** Where the next watch begins; empty: not known. */
  let version = ''
  /** The version that was known is none any longer, so a list must not rely on it. */
  let mustBeLatest = false
  let trouble = ''
  let round = new AbortController()
  let isListing = false
  let selector = ''

  async function list(signal: AbortSignal): Promise<void> {
    selector = options.selector()
    const listed = new Map<string, Item>()
    let from = ''
    let at = ''
    do {
      const query = new URLSearchParams({ limit: String(PAGE) })
      if (selector !== '') query.set('labelSelector', selector)
      if (from !== '') query.set('continue', from)
      else if (!mustBeLatest && version !== '') {
        query.set('resourceVersion', version)
        query.set('resourceVersionMatch', 'NotOlderThan')
      } else if (!mustBeLatest) query.set('resourceVersion', '0')
      const answer = mapOf(await api.get(`${path}?${query}`, rights, signal))
      const metadata = mapOf(answer.metadata)
      if (!Array.isArray(answer.items) || textOf(metadata.resourceVersion) === '')
        throw new KubernetesTrouble('the answer of the API server is no list', 0)
      for (const object of listOf(answer.items)) {
        const name = textOf(mapOf(mapOf(object).metadata).name)
        if (name !== '') listed.set(name, options.read(mapOf(object)))
      }
      if (listed.size > most) throw new KubernetesTrouble(tooMany, 0)
      from = textOf(metadata.continue)
      at = textOf(metadata.resourceVersion)
    } while (from !== '')
    items = listed
    version = at
    isListed = true
    mustBeLatest = false
    trouble = ''
    options.onChange(null, NONE)
  }

  /** False: it said nothing, and ended at once. */
  async function watch(signal: AbortSignal, opened: () => void): Promise<boolean> {
    const begunAt = clock.now()
    let hasSaid = false
    const [least, longest] = WATCH_S
    const query = new URLSearchParams({
      watch: '1',
      allowWatchBookmarks: 'true',
      resourceVersion: version,
      timeoutSeconds: String(Math.round(least + random() * (longest - least))),
    })
    if (selector !== '') query.set('labelSelector', selector)
    const onLines = (lines: readonly string[]): void => {
      if (signal.aborted) return
      hasSaid ||= lines.length > 0
      take(lines)
    }
    await api.stream(`${path}?${query}`, rights, { opened, onLines }, signal)
    return hasSaid || clock.now() - begunAt >= SOON_MS
  }

  function take(lines: readonly string[]): void {
    const changed = new Set<string>()
    const deleted = new Set<string>()
    let isConfirmed = false
    try {
      for (const line of lines) {
        const { type, object } = eventOf(line)
        const { name, resourceVersion } = mapOf(object.metadata)
        if (typeof resourceVersion !== 'string' || resourceVersion === '')
          throw new KubernetesTrouble('an event of the API server has no version', NONSENSE)
        version = resourceVersion
        if (type === 'BOOKMARK') {
          isConfirmed = true
          continue
        }
        if (typeof name !== 'string' || name === '')
          throw new KubernetesTrouble('an event of the API server has no name', NONSENSE)
        if (type === 'DELETED') {
          items.delete(name)
          deleted.add(name)
        } else {
          if (items.size >= most && !items.has(name)) throw new KubernetesTrouble(tooMany, NONSENSE)
          items.set(name, options.read(object))
          deleted.delete(name)
        }
        changed.add(name)
      }
    } finally {
      // What came before a line that makes no sense counts.
      if (changed.size > 0) options.onChange(changed, deleted)
      else if (isConfirmed) options.onConfirmed()
    }
  }

  function clear(): void {
    if (trouble === '') return
    trouble = ''
    options.onConfirmed()
  }

  function fail(reason: string): void {
    trouble = reason
    options.onTrouble(reason)
  }

  async function run(): Promise<void> {
    let failures = 0
    // Whoever made it may have more to say of it.
    await null
    while (!end.signal.aborted) {
      round = new AbortController()
      const { signal } = round
      let openedAt: number | null = null
      try {
        if (isToList) {
          isToList = false
          isListing = true
          await list(signal)
          isListing = false
          // It was asked for again meanwhile.
          if (isToList) continue
        }
        const isFine = await watch(signal, () => {
          openedAt = clock.now()
          clear()
        })
        failures = isFine ? 0 : failures + 1
        if (!isFine) await pause(clock, backOffMs(failures, MAX_BACK_OFF_MS, random), signal)
      } catch (error) {
        isToList ||= isListing
        isListing = false
        // It was asked for: another list, or the end.
        if (signal.aborted) continue
        const wasOpen = openedAt !== null
        if (wasOpen && clock.now() - openedAt! >= SOON_MS) failures = 0
        failures++
        if (isLost(error)) {
          isToList = true
          mustBeLatest = true
        }
        // A connection that breaks is no trouble yet, nor is a version that has become too old.
        if (!(wasOpen && isBroken(error)) && !isExpired(error)) fail(messageOf(error))
        await pause(clock, waitMs(error, failures), end.signal)
      }
    }
  }

  function waitMs(error: unknown, failures: number): number {
    const backOff = backOffMs(failures, isDenied(error) ? MAX_DENIED_MS : MAX_BACK_OFF_MS, random)
    const asked = error instanceof KubernetesTrouble ? error.retryAfterMs : 0
    return Math.max(backOff, asked * (1 + random() / 2))
  }

  void run()
  return {
    get items() {
      return items
    },
    isListed: () => isListed,
    trouble: () => trouble,
    relist() {
      isToList = true
      // The answer that is on its way may be used, and another one follows.
      if (!isListing) round.abort()
    },
    stop() {
      end.abort()
      round.abort()
    },
  }
}

const NONE: ReadonlySet<string> = new Set()

/** There was no answer: what is known may still be what there is. */
function isBroken(error: unknown): boolean {
  return error instanceof KubernetesTrouble && error.status === 0
}

function eventOf(line: string): { readonly type: string; readonly object: Json } {
  let event: Json
  try {
    event = mapOf(parseJson(line))
  } catch (error) {
    throw new KubernetesTrouble(`an event of the API server makes no sense: ${messageOf(error)}`, NONSENSE)
  }
  const object = mapOf(event.object)
  switch (event.type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
    case 'BOOKMARK':
      return { type: event.type, object }
    case 'ERROR': {
      const status = Number.isInteger(object.code) ? (object.code as number) : 500
      throw new KubernetesTrouble(`the API server ends the watch: ${textOf(object.message) || status}`, status)
    }
    default:
      throw new KubernetesTrouble('an event of the API server is of no known type', NONSENSE)
  }
}
