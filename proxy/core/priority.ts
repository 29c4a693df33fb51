import type { Exchange } from './exchange.ts'

/** How much a request matters beside others of its service: what is lower is shed first. */
export const priorities = ['high', 'normal', 'low'] as const
export type PriorityName = (typeof priorities)[number]
/** The index of its name. */
export type Priority = 0 | 1 | 2

/** How the priority of the requests of a route is found. */
export interface PriorityPolicy {
  /** The header that may name it; empty: none may. */
  readonly header: string
  readonly usual: Priority
}

/** What its header says, where one may and it is one of the names; else what its route says. */
export function priorityOf({ route, request }: Pick<Exchange, 'route' | 'request'>): Priority {
  const policy = route?.priority ?? null
  if (policy === null) return 1
  const said = policy.header === '' ? undefined : request.headers.get(policy.header)
  const index = said === undefined ? -1 : priorities.indexOf(said.toLowerCase() as PriorityName)
  return index < 0 ? policy.usual : (index as Priority)
}
