import type { RouteSpec, ServiceSpec } from '../../mesh-config/snapshot.ts'
import type { Filter } from '../core/filter.ts'

/** The filters of a route, in order, made of its policy. */
export function routeFilters(_service: ServiceSpec, _route: RouteSpec): readonly Filter[] {
  return []
}
