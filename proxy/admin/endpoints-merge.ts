import type { EndpointsAnswer, EndpointView } from '../core/channel.ts'

export type ServiceView = EndpointsAnswer['services'][number]

/** Merges the data threads' views of the same endpoints: sums, and the worst of each state. */
export function mergeEndpoints(answers: readonly EndpointsAnswer[]): ServiceView[] {
  const services = new Map<string, { service: ServiceView; endpoints: Map<string, EndpointView> }>()
  for (const service of answers.flatMap(answer => answer.services)) {
    const merged = services.get(service.name)
    if (merged === undefined) {
      services.set(service.name, {
        service,
        endpoints: new Map(service.endpoints.map(endpoint => [endpoint.address, endpoint])),
      })
      continue
    }
    merged.service = { ...merged.service, active: merged.service.active + service.active }
    for (const endpoint of service.endpoints) {
      const before = merged.endpoints.get(endpoint.address)
      merged.endpoints.set(endpoint.address, before === undefined ? endpoint : mergeEndpoint(before, endpoint))
    }
  }
  return [...services.values()].map(({ service, endpoints }) => ({ ...service, endpoints: [...endpoints.values()] }))
}

const severity = { admitting: 0, probing: 1, ejected: 2 } as const

function mergeEndpoint(a: EndpointView, b: EndpointView): EndpointView {
  const worse =
    severity[b.state] > severity[a.state] || (b.state === a.state && b.ejectedForMs > a.ejectedForMs) ? b : a
  // Each thread that has seen a failure knows those of all.
  const { evidence = worse === a ? b.evidence : a.evidence } = worse
  const requests = a.requests + b.requests
  return {
    ...a,
    state: worse.state,
    // Of `mode: shadow` a thread that has seen no failure does not know it.
    reason: worse.reason || a.reason || b.reason,
    ejectedForMs: worse.ejectedForMs,
    ...(worse.byHand === undefined ? {} : { byHand: worse.byHand }),
    ...(worse.shadowForMs === undefined ? {} : { shadowForMs: worse.shadowForMs }),
    ...(evidence === undefined ? {} : { evidence }),
    active: a.active + b.active,
    connections: a.connections + b.connections,
    idle: a.idle + b.idle,
    pending: a.pending + b.pending,
    requests,
    failures: a.failures + b.failures,
    // Close to the overall median when the threads see the same endpoint; the tail is that of the slower one.
    p50Ms: requests === 0 ? 0 : (a.p50Ms * a.requests + b.p50Ms * b.requests) / requests,
    p99Ms: Math.max(a.p99Ms, b.p99Ms),
  }
}
