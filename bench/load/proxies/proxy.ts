import type { Command } from '../command.ts'
import type { TrafficName } from '../traffic/traffic.ts'

/**
 * What is switched on. `standard`: what every comparison runs with (retries, least-request, Envoy also outlier
 * detection; no access log).
 * `bare`: routing and balancing only. `full`: standard, a JSON access log to a file, and a scrape of the metrics every
 * second. `traces-1` and `traces-100`: standard, and spans of so many percent of the requests, exported over HTTP.
 * `rate-limit`, `rate-limit-by-key` and `faults`: standard, and such rules on the route, which let every request pass;
 * `resilience`: a rate limit, faults, a breaker and adaptive concurrency together. Outrigger only.
 */
export type Features = 'standard' | 'bare' | 'full' | 'traces-1' | 'traces-100' | keyof typeof RULES

const limit = { rate: '900000/s', burst: 900_000 }
const faults = [
  { match: { headers: { 'x-fault': 'yes' } }, abort: { status: 503, percent: 50 }, delay: { time: '1s', percent: 10 } },
]

/** What a service has besides. */
export const RULES = {
  'rate-limit': { routes: [{ rateLimits: [limit] }] },
  'rate-limit-by-key': { routes: [{ rateLimits: [{ ...limit, by: [{ address: true }, { header: 'user-agent' }] }] }] },
  faults: { routes: [{ faults }] },
  resilience: { routes: [{ rateLimits: [limit], faults }], breaker: {}, concurrency: {} },
} as const

export interface Layout {
  /** A folder of its own for configuration and logs. */
  readonly folder: string
  readonly listen: number
  readonly admin: number
  readonly upstreams: readonly number[]
  readonly traffic: TrafficName
  readonly features: Features
}

export interface ProxyProgram {
  readonly name: string
  /** As shown in tables; with its version once prepared. */
  readonly title: string
  /** Which traffic it is measured with: where it has no equal for a protocol it is left out. */
  readonly carries: readonly TrafficName[]
  /** Where the admin port shows metrics; null if it has none to be scraped here. */
  readonly metricsPath: string | null
  /** Whether it is measured with traces. */
  readonly traces?: boolean
  /** Obtains (or builds) it; resolves to its version. */
  prepare(): Promise<string>
  /** Writes its configuration and says how to start it, in the foreground. */
  command(layout: Layout): Promise<Command>
}
