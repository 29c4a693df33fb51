import { own } from '../../mesh-config/own.ts'
import type { RouteSpec, ServiceSpec } from '../../mesh-config/snapshot.ts'
import type { Filter } from '../core/filter.ts'
import { editHeads } from './edit-heads.ts'
import { grpcWeb } from './grpc-web.ts'

/** The filters of a route, in order, made of its policy. */
export function routeFilters(route: RouteSpec, services: Readonly<Record<string, ServiceSpec>>): readonly Filter[] {
  const leadsToGrpc = route.to.some(({ service }) => own(services, service)?.protocol === 'grpc')
  const edits = editHeads(route)
  return [...(leadsToGrpc ? [grpcWeb] : []), ...(edits === null ? [] : [edits])]
}
