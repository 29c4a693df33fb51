import type { ServiceSpec, Snapshot } from '../../mesh-config/snapshot.ts'
import type { Unknown } from '../core/channel.ts'
import type { Clock } from '../core/clock.ts'

/** Names come from requests: more than these are not looked up. */
const MOST = 1_000
/** How long "there is no such service" is believed. */
const ABSENT_MS = 10_000

/** What became of the look-up of a service. */
export type LookUp = 'found' | Unknown

export interface OnDemandOptions {
  /** Starts watching the service; answers when the registry has. */
  readonly lookUp: (service: string) => Promise<LookUp>
  /** The set has changed: those found belong in the snapshot, those dropped no longer do. */
  readonly changed: () => void
  /** Nobody needs it any more. */
  readonly drop: (service: string) => void
  readonly clock: Clock
}

/** Services that no file names, found because a request asked for them. */
export interface OnDemand {
  /** Calls `answer` with why it is not known; where it is found, the snapshot that has it is the answer. */
  want(service: string, answer: (why: Unknown) => void): void
  /** Lets go of what had no request for `idleMs`. `uses`: requests so far, by service. */
  sweep(uses: Readonly<Record<string, number>>, idleMs: number): void
  /** The snapshot with the services found, made from `template` (a service without a name). Those that a file names by now are the file's. */
  extend(snapshot: Snapshot, template: ServiceSpec | null): Snapshot
  names(): readonly string[]
}

interface Found {
  uses: number
  usedAt: number
}

export function onDemand({ lookUp, changed, drop, clock }: OnDemandOptions): OnDemand {
  const found = new Map<string, Found>()
  const asking = new Map<string, ((why: Unknown) => void)[]>()
  const absent = new Map<string, { readonly why: Unknown; readonly until: number }>()

  async function ask(service: string): Promise<void> {
    const result = await lookUp(service)
    const answers = asking.get(service) ?? []
    asking.delete(service)
    if (result === 'found') {
      found.set(service, { uses: -1, usedAt: clock.now() })
      return changed()
    }
    drop(service)
    if (result.certain) remember(service, result)
    for (const answer of answers) answer(result)
  }

  function remember(service: string, why: Unknown): void {
    if (absent.size >= MOST) absent.clear()
    absent.set(service, { why, until: clock.now() + ABSENT_MS })
  }

  return {
    want(service, answer) {
      // It is on its way to the data threads; one that has missed it is told anew.
      if (found.has(service)) return changed()
      const gone = absent.get(service)
      if (gone !== undefined && gone.until > clock.now()) return answer(gone.why)
      absent.delete(service)
      const waiting = asking.get(service)
      if (waiting !== undefined) return void waiting.push(answer)
      if (found.size + asking.size >= MOST)
        return answer({ certain: false, reason: `${MOST} services were found on demand already: name "${service}" in a file` })
      asking.set(service, [answer])
      void ask(service)
    },
    sweep(uses, idleMs) {
      const now = clock.now()
      let dropped = false
      for (const [service, own] of found) {
        const count = Object.hasOwn(uses, service) ? uses[service]! : own.uses
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
      return extra.length === 0 ? snapshot : { ...snapshot, services: { ...snapshot.services, ...Object.fromEntries(extra) } }
    },
    names: () => [...found.keys()],
  }
}

function named(template: ServiceSpec, name: string): ServiceSpec {
  return { ...template, name, routes: template.routes.map(route => ({ ...route, to: route.to.map(to => ({ ...to, service: name })) })) }
}
