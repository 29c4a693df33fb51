import { change } from './fix.ts'
import type { Path, Warn } from './located.ts'
import type { MirrorSpec, RouteSpec, ServiceSpec } from './snapshot.ts'

/** Warns of mirrors that do nothing, or send the same endpoints everything twice. */
export function lintMirror({ name, mirror, routes }: ServiceSpec, path: Path, warn: Warn): void {
  for (const [index, route] of routes.entries()) {
    const own = route.mirror === undefined ? mirror : route.mirror
    if (own === undefined || own === null) continue
    const at = route.mirror === undefined ? path : ['services', name, 'routes', index]
    if (own.percent === 0)
      warn(
        [...at, 'mirror', 'percent'],
        '0 % of the requests is none: write more, or mirror: off',
        change([...at, 'mirror'], 'off'),
      )
    else if (leadsTo(route, own))
      warn(
        [...at, 'mirror'],
        `the copies go where the requests of ${route.name} go, so ${destinationOf(own)} gets ${own.percent} % more of them: name another service or subset`,
      )
  }
}

function leadsTo({ to }: RouteSpec, { service, subset }: MirrorSpec): boolean {
  return to.every(destination => destination.service === service && (subset === null || destination.subset === subset))
}

function destinationOf({ service, subset }: MirrorSpec): string {
  return subset === null ? service : `${service}/${subset}`
}
