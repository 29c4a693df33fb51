import { get, keepAliveAgent } from '../../support/get.ts'
import { readSamples, type Sample } from './exposition.ts'

/**
 * What one sidecar says of itself on its admin port: everything the demo shows comes from here, as it would with curl.
 */
export interface Scrape {
  readonly samples: readonly Sample[]
  /** By service and address. */
  readonly endpoints: readonly EndpointState[]
}

export interface EndpointState {
  readonly service: string
  readonly address: string
  readonly state: 'admitting' | 'ejected' | 'probing'
  readonly ejectedForMs: number
  readonly active: number
}

const families = [
  'http_requests_total',
  'http_response_time_seconds_bucket',
  'outrigger_upstream_requests_total',
  'outrigger_upstream_failures_total',
  'outrigger_upstream_response_seconds_bucket',
]
const agent = keepAliveAgent()
const TIMEOUT_MS = 10_000

/** Null: it does not answer. */
export async function scrape(adminPort: number): Promise<Scrape | null> {
  try {
    const [metrics, endpoints] = await Promise.all([
      get(adminPort, '/metrics', { agent, timeoutMs: TIMEOUT_MS }),
      get(adminPort, '/endpoints', { headers: { accept: 'application/json' }, agent, timeoutMs: TIMEOUT_MS }),
    ])
    if (metrics.status !== 200 || endpoints.status !== 200) return null
    return { samples: readSamples(metrics.body, families), endpoints: readEndpoints(endpoints.body) }
  } catch {
    return null
  }
}

interface EndpointsPage {
  readonly services: readonly { readonly name: string; readonly endpoints: readonly Omit<EndpointState, 'service'>[] }[]
}

function readEndpoints(body: string): EndpointState[] {
  const { services } = JSON.parse(body) as EndpointsPage
  return services.flatMap(({ name, endpoints }) => endpoints.map(endpoint => ({ ...endpoint, service: name })))
}
