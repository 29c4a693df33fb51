import type { UnhealthyEndpoints } from '../core/health-checks.ts'
import type { Learnt } from '../core/learnt.ts'

/**
 * What one process of a proxy hands to the next, besides its sockets: each part is known to its owner only. A process
 * that reads another version goes on without it, and learns anew.
 */
export interface HandOver {
  readonly version: number
  /** Of the program. */
  readonly by: string
  readonly parts: HandedParts
}

/** All may be missing. */
export interface HandedParts {
  /** As last-known.json has it. */
  readonly endpoints?: string
  /** As last-policies.json has it. */
  readonly policies?: string
  /** The secret of sticky cookies; empty: none was needed. */
  readonly sticky?: string
  /** Endpoints that our checks had found unhealthy. */
  readonly unhealthy?: UnhealthyEndpoints
  /** Services found on demand. */
  readonly found?: readonly string[]
  /** Of each data thread. */
  readonly learnt?: readonly Learnt[]
}

export const HAND_OVER = 1

/** One part of it, from where it is known. */
export type Give = () => HandedParts | Promise<HandedParts>

export async function gather(by: string, given: readonly Give[]): Promise<HandOver> {
  const parts = await Promise.all(given.map(give => give()))
  return { version: HAND_OVER, by, parts: Object.assign({}, ...parts) as HandedParts }
}

/** Its parts, or why there are none. It comes from this program, so only what another version could change is checked. */
export function partsOf(value: unknown): HandedParts | string {
  if (!isRecord(value) || !isRecord(value.parts)) return 'it makes no sense'
  if (value.version !== HAND_OVER)
    return `it is of version ${JSON.stringify(value.version)}, and this program reads ${HAND_OVER}`
  const { endpoints, policies, sticky, found, unhealthy, learnt } = value.parts
  return {
    ...(typeof endpoints === 'string' ? { endpoints } : {}),
    ...(typeof policies === 'string' ? { policies } : {}),
    ...(typeof sticky === 'string' ? { sticky } : {}),
    ...(isListOf(found, isText) ? { found } : {}),
    ...(isUnhealthy(unhealthy) ? { unhealthy } : {}),
    ...(isListOf(learnt, isLearnt) ? { learnt } : {}),
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string'
}

const numbers = ['ejectedForMs', 'ejections', 'ejectedAgoMs', 'consecutiveFailures', 'warmingForMs', 'learntWeight']

function isLearnt(value: unknown): value is Learnt {
  if (!isRecord(value)) return false
  return Object.values(value).every(endpoints =>
    isListOf(endpoints, (each): each is unknown => {
      if (!isRecord(each) || !isText(each.name) || !isText(each.state) || !isRecord(each.load)) return false
      return numbers.every(name => Number.isFinite(each[name])) && Object.values(each.load).every(Number.isFinite)
    }),
  )
}

function isUnhealthy(value: unknown): value is UnhealthyEndpoints {
  return (
    isRecord(value) && Object.values(value).every(reasons => isRecord(reasons) && Object.values(reasons).every(isText))
  )
}

function isListOf<Item>(value: unknown, is: (item: unknown) => item is Item): value is Item[] {
  return Array.isArray(value) && value.every(is)
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
