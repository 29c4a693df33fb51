import { move, suggested } from './fix.ts'
import { lintRetries } from './lint-retries.ts'
import { lintTimeouts } from './lint-service.ts'
import type { Warn } from './located.ts'
import type { MatchSpec, RouteSpec, ServiceSpec, ValueMatchSpec } from './snapshot.ts'

/** Warns of routes that no request reaches, and checks the timeouts of routes. */
export function lintRoutes(service: ServiceSpec, warn: Warn): void {
  for (const [index, route] of service.routes.entries()) {
    const path = ['services', service.name, 'routes', index]
    const before = service.routes.findIndex(
      (earlier, position) => position < index && covers(earlier.match, route.match),
    )
    if (before >= 0) {
      const earlier = service.routes[before]!
      warn(
        path,
        `route ${index + 1} (${route.name}) is never reached, route ${before + 1} (${earlier.name}) takes all it matches: put it before that one`,
        suggested(move(path, before)),
      )
    }
    if (route.timeouts !== null || route.retries !== null) {
      const timeouts = { ...service.timeouts, ...route.timeouts }
      const retries = { ...service.retries, ...route.retries }
      lintTimeouts(timeouts, retries, path, warn, ['services', service.name])
      lintRetries(timeouts, retries, path, warn)
    }
    lintDestinations(route, path, warn)
  }
}

function lintDestinations(route: RouteSpec, path: (string | number)[], warn: Warn): void {
  const same = (one: RouteSpec['to'][number], other: RouteSpec['to'][number]) =>
    one.service === other.service &&
    one.subset === other.subset &&
    JSON.stringify(one.headers) === JSON.stringify(other.headers)
  for (const [index, destination] of route.to.entries()) {
    const twin = route.to.findIndex(other => same(destination, other))
    if (twin < index)
      warn([...path, 'to', index], `the same destination as number ${twin + 1}: add the weights and write it once`)
  }
}

/** True: every request that `later` matches, `earlier` matches too. False where that is not certain. */
export function covers(earlier: MatchSpec, later: MatchSpec): boolean {
  return (
    coversPath(earlier.path, later.path) &&
    (earlier.methods.length === 0 ||
      (later.methods.length > 0 && later.methods.every(method => earlier.methods.includes(method)))) &&
    earlier.headers.every(header => later.headers.some(other => coversValue(header, other))) &&
    earlier.query.every(parameter => later.query.some(other => coversValue(parameter, other)))
  )
}

function coversPath(earlier: MatchSpec['path'], later: MatchSpec['path']): boolean {
  if (earlier.kind === 'prefix' && earlier.value === '/') return true
  // A path in any case is more than the same path as written.
  if (later.ignoreCase && !earlier.ignoreCase) return false
  const [one, other] = earlier.ignoreCase
    ? [earlier.value.toLowerCase(), later.value.toLowerCase()]
    : [earlier.value, later.value]
  if (earlier.kind === 'prefix') return later.kind !== 'regex' && other.startsWith(one)
  return earlier.kind === later.kind && one === other
}

function coversValue(earlier: ValueMatchSpec, later: ValueMatchSpec): boolean {
  if (earlier.name !== later.name) return false
  if (earlier.kind === 'present') return later.kind !== 'absent'
  if (earlier.invert !== later.invert) return false
  if (earlier.kind === later.kind && earlier.value === later.value) return true
  if (earlier.invert) return false
  if (later.kind !== 'exact') return false
  if (earlier.kind === 'prefix') return later.value.startsWith(earlier.value)
  if (earlier.kind === 'suffix') return later.value.endsWith(earlier.value)
  return earlier.kind === 'contains' && later.value.includes(earlier.value)
}
