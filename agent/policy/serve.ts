import { formatProblem, type Located } from '../../mesh-config/located.ts'
import { locateOwnLayer } from '../../mesh-config/own-layer.ts'
import { compilePolicy, EVERY_SERVICE } from '../../mesh-config/policy-document.ts'
import type { Rollouts } from '../rollouts.ts'
import type { AskedPolicy, OwnLayer, WantedPolicy, Withheld } from '../wanted-policy.ts'
import type { DocumentBook } from './documents.ts'
import { keyOf } from './held.ts'
import { callLayersOf, layersOf } from './layers.ts'

/** Nothing is known of the service. */
const NONE: WantedPolicy = {
  version: 'none',
  spec: Buffer.alloc(0),
  provenance: Buffer.alloc(0),
  discovery: Buffer.alloc(0),
  warnings: [],
}

/** Compiled policies that are kept: a mesh of a thousand services with a few proxies each that have own layers. */
const MAX_KEPT = 5_000

export interface Served {
  wanted(asked: AskedPolicy): WantedPolicy | Withheld
  /** What was compiled for them is out of date. */
  forget(services: ReadonlySet<string> | 'all'): void
}

export interface ServeDeps {
  readonly book: DocumentBook
  readonly order: readonly string[]
  readonly rollouts: Rollouts
  /**
   * Why a proxy must keep what it has for now: a source has not answered yet. Null: it need not. `has`: it has a policy;
   * one that has none does not wait for long.
   */
  readonly holdsBack: (has: boolean) => string | null
}

/** Compiled policies for proxies: one for all that have no layer of their own. */
export function servePolicies({ book, order, rollouts, holdsBack }: ServeDeps): Served {
  const kept = new Map<string, Map<string, WantedPolicy | Withheld>>()
  let count = 0

  function compile(service: string, caller: string, own: OwnLayer | null, staged: Staged): WantedPolicy | Withheld {
    const documents = staged.some ? mixed(book, staged) : book.inForce()
    const calls = caller === '' ? [] : callLayersOf(caller, service, documents, order)
    const layers = [...layersOf(service, documents, order), ...calls]
    if (layers.length === 0) return NONE
    let last: Located[] = []
    try {
      if (own !== null) last = [locateOwnLayer(own.bytes.toString())]
    } catch (error) {
      return { withheld: `what its own file says of ${service} cannot be read: ${(error as Error).message}` }
    }
    const compiled = compilePolicy(service, [...layers, ...last])
    if (!compiled.ok) {
      if (staged.some) return compile(service, caller, own, NOT_STAGED)
      return { withheld: `its own file does not fit: ${compiled.problems.map(formatProblem).join('; ')}` }
    }
    return {
      version: compiled.version,
      spec: json(compiled.spec),
      provenance: json(compiled.provenance),
      discovery: compiled.discovery === null ? NONE.discovery : json(compiled.discovery),
      warnings: compiled.warnings.map(formatProblem),
    }
  }

  /** Asked for each service of each proxy: no list of candidates is walked. */
  function stagedFor(proxy: string, service: string): Staged {
    const candidates = book.candidates()
    if (candidates.size === 0) return NOT_STAGED
    const takes = (name: string) =>
      order.some(source => candidates.has(keyOf(source, name))) && rollouts.takes(name, proxy)
    const [ofService, all] = [takes(service), takes(EVERY_SERVICE)]
    return { some: ofService || all, service: ofService, all }
  }

  function keep(service: string, key: string, policy: WantedPolicy | Withheld): void {
    if (count >= MAX_KEPT) {
      kept.clear()
      count = 0
    }
    const ofService = kept.get(service) ?? new Map<string, WantedPolicy | Withheld>()
    kept.set(service, ofService.set(key, policy))
    count++
  }

  return {
    wanted({ proxy, caller = '', service, own, has }) {
      const reason = holdsBack(has)
      if (reason !== null) return { withheld: reason }
      const staged = stagedFor(proxy, service)
      // Callers of whose calls nothing is said share what is compiled.
      const by = caller !== '' && callLayersOf(caller, service, book.inForce(), order).length > 0 ? caller : ''
      const key = `${own?.hash ?? ''} ${staged.service} ${staged.all} ${by}`
      const known = kept.get(service)?.get(key)
      const policy = known ?? compile(service, by, own, staged)
      if (known === undefined) keep(service, key, policy)
      return 'withheld' in policy && !has ? { ...NONE, warnings: [policy.withheld] } : policy
    },
    forget(services) {
      if (services === 'all') {
        kept.clear()
        count = 0
        return
      }
      for (const service of services) {
        count -= kept.get(service)?.size ?? 0
        kept.delete(service)
      }
    },
  }
}

interface Staged {
  readonly some: boolean
  /** The candidates for the service, and those for all, rather than what is in force. */
  readonly service: boolean
  readonly all: boolean
}

const NOT_STAGED: Staged = { some: false, service: false, all: false }

function mixed(book: DocumentBook, staged: Staged): ReturnType<DocumentBook['inForce']> {
  const documents = new Map(book.inForce())
  for (const [key, held] of book.candidates())
    if (held.document.service === EVERY_SERVICE ? staged.all : staged.service) documents.set(key, held)
  return documents
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}
