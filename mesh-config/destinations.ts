import type { ServiceSpec } from './snapshot.ts'

/** The services that requests to a service may go to: by its routes, and by what takes their place. Each once. */
export function destinationsOf({ routes, fallback }: Pick<ServiceSpec, 'routes' | 'fallback'>): string[] {
  const names = new Set(routes.flatMap(({ to }) => to.map(({ service }) => service)))
  for (const each of [fallback, ...routes.map(route => route.fallback)])
    if (each !== undefined && each.to !== null) names.add(each.to.service)
  return [...names]
}
