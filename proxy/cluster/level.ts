import type { Endpoint } from '../core/endpoint.ts'

/** The endpoints of one priority. */
export interface Level {
  readonly priority: number
  /** Whatever their health. */
  readonly members: Endpoint[]
  /** Those that pass and are not ejected; with `usesProbing` also those that are probing. */
  readonly healthy: Endpoint[]
  /** Those that pass and have one request, until that says how they are. */
  readonly probing: Endpoint[]
  /** Nothing else may be used. */
  usesProbing: boolean
  passing: number
  failing: number
  critical: number
  /** Of those that pass, and of those that fail. */
  ejectedPassing: number
  ejectedFailing: number
}

/** In the order of priorities, 0 first; within one in the order of the host set. */
export function levelsOf(endpoints: readonly Endpoint[]): Level[] {
  const levels: Level[] = []
  let level: Level | undefined
  for (const endpoint of endpoints) {
    const { priority } = endpoint.spec
    if (level === undefined || level.priority !== priority) {
      level = levels.find(each => each.priority === priority)
      if (level === undefined) {
        level = {
          priority,
          members: [],
          healthy: [],
          probing: [],
          usesProbing: false,
          passing: 0,
          failing: 0,
          critical: 0,
          ejectedPassing: 0,
          ejectedFailing: 0,
        }
        levels.push(level)
      }
    }
    level.members.push(endpoint)
    count(level, endpoint)
  }
  return levels.sort((a, b) => a.priority - b.priority)
}

function count(level: Level, endpoint: Endpoint): void {
  // As one in maintenance.
  if (endpoint.byHand !== 'no') return
  const isEjected = endpoint.state === 'ejected'
  switch (endpoint.spec.health) {
    case 'passing':
      level.passing++
      if (isEjected) level.ejectedPassing++
      else if (endpoint.state === 'probing') level.probing.push(endpoint)
      else level.healthy.push(endpoint)
      break
    case 'failing':
      level.failing++
      if (isEjected) level.ejectedFailing++
      break
    case 'critical':
      level.critical++
  }
}
