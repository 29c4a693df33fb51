import type { ServiceSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import type { Unknown } from '../core/channel.ts'
import type { Clock } from '../core/clock.ts'

/** Services found at a time. Names come from requests, but only names that the registry has count here. */
const MOST_FOUND = 1_000
/** Names that wait for an answer, of whatever kind. */
const MOST_ASKED = 20_000
/**
 * Names looked up side by side without knowing whether the registry has them. More than these wait for its list of
 * names, which answers all of them at once.
 */
const UNPROVEN = 16
/** And of those so many in a second that find nothing: a look-up costs more than a line of the list. */
const UNPROVEN_PER_SECOND = 32
/** Between two lists of names; and a list costs no more than one part in so many of the time. */
const LIST_MS = 50
const SHARE_OF_TIME = 5
/** How long "there is no such service" is believed, and of how many names. */
const ABSENT_MS = 2_000
const MOST_ABSENT = 1_000

/** What became of the look-up of a service. */
export type LookUp = 'found' | Unknown

/** The names of all services the registry has. */
export interface Names {
  has(service: string): boolean
  /** A name that is not in it does not exist; else it may be hidden from us. */
  readonly whole: boolean
}

export interface OnDemandOptions {
  /** Starts watching the service, beside all others; answers when the registry has. */
  readonly lookUp: (service: string) => Promise<LookUp>
  /** Asks the registry now. Rejects with an Error for people. */
  readonly names: () => Promise<Names>
  /** The set has changed: those found belong in the snapshot, those dropped no longer do. */
  readonly changed: () => void
  /** It is no longer needed: stop watching it. */
  readonly drop: (service: string) => void
  /** Of the registry, for people. */
  readonly registry: () => string
  readonly clock: Clock
  /** Those that a process before this one had found. */
  readonly before?: readonly string[]
}

/** Services that no file names, found because a request asked for them. */
export interface OnDemand {
  /** Calls `answer` with why it is not known; where it is found, the snapshot that has it is the answer. */
  want(service: string, answer: (why: Unknown) => void): void
  /** Lets go of what had no request for `idleMs`. `uses`: requests so far, by service. */
  sweep(uses: ReadonlyMap<string, number>, idleMs: number): void
  /**
   * The snapshot with the services found, made from `template` (a service without a name). Those that a file names by
   * now are the file's.
   */
  extend(snapshot: Snapshot, template: ServiceSpec | null): Snapshot
  names(): readonly string[]
  /** Those being looked up now: watched, but not found. */
  lookedUp(): readonly string[]
}

interface Found {
  uses: number
  usedAt: number
}

type Answer = (why: Unknown) => void

export function onDemand({ lookUp, names, changed, drop, registry, clock, before = [] }: OnDemandOptions): OnDemand {
  const found = new Map<string, Found>(
    before.slice(0, MOST_FOUND).map(service => [service, { uses: -1, usedAt: clock.now() }]),
  )
  const asked = new Map<string, Answer[]>()
  /** Of `asked`: those that are looked up. The others wait for a list of names. */
  const running = new Set<string>()
  const listed = new Set<string>()
  const absent = new Map<string, { readonly why: Unknown; readonly until: number }>()
  let unproven = 0
  let credit = UNPROVEN
  let creditAt = clock.now()
  let isListing = false
  let listAt = 0
  const nextList = clock.timer(() => void list())

  function start(service: string): void {
    if (found.size + running.size >= MOST_FOUND) return settle(service, full(service))
    running.add(service)
    void run(service)
  }

  async function run(service: string): Promise<void> {
    const result = await lookUp(service)
    running.delete(service)
    if (result !== 'found') {
      drop(service)
      return settle(service, result)
    }
    asked.delete(service)
    found.set(service, { uses: -1, usedAt: clock.now() })
    changed()
  }

  function mayTryUnproven(): boolean {
    const now = clock.now()
    credit = Math.min(UNPROVEN, credit + ((now - creditAt) * UNPROVEN_PER_SECOND) / 1_000)
    creditAt = now
    return credit >= 1 && unproven < UNPROVEN && found.size + running.size < MOST_FOUND
  }

  async function tryUnproven(service: string): Promise<void> {
    unproven++
    credit--
    running.add(service)
    await run(service)
    unproven--
    if (found.has(service)) credit++
  }

  function settle(service: string, why: Unknown): void {
    const answers = asked.get(service) ?? []
    asked.delete(service)
    if (why.certain) remember(service, why)
    for (const answer of answers) answer(why)
  }

  /** The oldest is forgotten first. */
  function remember(service: string, why: Unknown): void {
    if (absent.size >= MOST_ABSENT) absent.delete(absent.keys().next().value!)
    absent.set(service, { why, until: clock.now() + ABSENT_MS })
  }

  /** Whatever waits is answered by a list that was asked for after it was asked. */
  async function list(): Promise<void> {
    isListing = true
    const waiting = [...listed]
    listed.clear()
    const begunAt = clock.now()
    try {
      const known = await names()
      for (const service of waiting) {
        if (known.has(service)) start(service)
        else settle(service, known.whole ? nowhere(service, registry()) : hidden(service, registry()))
      }
    } catch (error) {
      for (const service of waiting) settle(service, { certain: false, reason: unlisted(service, error) })
    }
    isListing = false
    listAt = clock.now() + Math.max(LIST_MS, (clock.now() - begunAt) * SHARE_OF_TIME)
    armList()
  }

  function armList(): void {
    if (!isListing && listed.size > 0) nextList.arm(listAt - clock.now())
  }

  return {
    want(service, answer) {
      // It is on its way to the data threads; one that has missed it is told anew.
      if (found.has(service)) return changed()
      const gone = absent.get(service)
      if (gone !== undefined && gone.until > clock.now()) return answer(gone.why)
      absent.delete(service)
      const waiting = asked.get(service)
      if (waiting !== undefined) return void waiting.push(answer)
      if (asked.size >= MOST_ASKED) return answer(crowded(service))
      asked.set(service, [answer])
      if (mayTryUnproven()) return void tryUnproven(service)
      listed.add(service)
      armList()
    },
    sweep(uses, idleMs) {
      const now = clock.now()
      let dropped = false
      for (const [service, own] of found) {
        const count = uses.get(service) ?? own.uses
        if (count !== own.uses) {
          own.uses = count
          own.usedAt = now
        } else if (now - own.usedAt >= idleMs) {
          found.delete(service)
          drop(service)
          dropped = true
        }
      }
      if (dropped) changed()
    },
    extend(snapshot, template) {
      if (template === null) return snapshot
      const extra = [...found.keys()]
        .filter(service => !Object.hasOwn(snapshot.services, service))
        .map((name): [string, ServiceSpec] => [name, named(template, name)])
      return extra.length === 0
        ? snapshot
        : { ...snapshot, services: { ...snapshot.services, ...Object.fromEntries(extra) } }
    },
    names: () => [...found.keys()],
    lookedUp: () => [...running],
  }
}

function unlisted(service: string, error: unknown): string {
  return `"${service}" could not be looked up: ${error instanceof Error ? error.message : String(error)}`
}

function nowhere(service: string, registry: string): Unknown {
  return { certain: true, reason: `${registry} knows no service "${service}"` }
}

function hidden(service: string, registry: string): Unknown {
  return {
    certain: false,
    reason: `${registry} lists no service "${service}", and does not show the token of this sidecar every service: name "${service}" in a file`,
  }
}

function full(service: string): Unknown {
  return { certain: false, reason: `${MOST_FOUND} services were found on demand already: name "${service}" in a file` }
}

function crowded(service: string): Unknown {
  return {
    certain: false,
    reason: `${MOST_ASKED} unknown names are being looked up already: name "${service}" in a file`,
  }
}

function named(template: ServiceSpec, name: string): ServiceSpec {
  return {
    ...template,
    name,
    routes: template.routes.map(route => ({ ...route, to: route.to.map(to => ({ ...to, service: name })) })),
  }
}
