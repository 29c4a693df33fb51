import type { OutlierSpec } from '../../mesh-config/snapshot.ts'
import type { Cells } from '../../proxy/core/cells.ts'
import { ownCells } from '../../proxy/core/cells.ts'
import { AttemptRecord } from '../../proxy/core/decision.ts'
import { ENDPOINT_WORDS } from '../../proxy/core/ejection.ts'
import { Endpoint } from '../../proxy/core/endpoint.ts'
import type { Failure } from '../../proxy/core/failure.ts'
import type { ProxyEvent } from '../../proxy/core/telemetry.ts'
import { outlierDetector } from '../../proxy/health/outlier.ts'
import type { EndpointSet } from '../../proxy/health/room.ts'
import { manualClock } from '../support/clock.ts'
import { NoPool, noStats } from '../support/endpoints.ts'
import { EventLoop } from '../support/event-loop.ts'
import { seeded } from '../support/random.ts'
import { endpointSpec } from '../support/specs.ts'

export const policy: OutlierSpec = {
  consecutiveGatewayFailures: 3,
  baseEjectionMs: 1000,
  maxEjectionMs: 5000,
  maxEjectedPercent: 50,
}

export interface DetectorOptions extends Partial<OutlierSpec> {
  readonly loop?: EventLoop
  /** Of one data thread of several. */
  readonly cells?: Cells
  readonly tell?: () => void
  readonly sets?: (endpoints: readonly Endpoint[]) => readonly EndpointSet[]
}

/** Outlier detection of one data thread, with as many endpoints; requests are told to it, not sent. */
export function detectorOf(count: number, options: DetectorOptions = {}) {
  const { loop = new EventLoop(), cells = ownCells, tell = () => {}, sets, ...overrides } = options
  const endpoints = Array.from({ length: count }, (_, i) => {
    const name = `10.0.0.${i}:80`
    return new Endpoint(endpointSpec(name), name, new NoPool(), noStats(), cells.open(`e ${name}`, ENDPOINT_WORDS))
  })
  const events: ProxyEvent[] = []
  const detected: string[] = []
  let changes = 0
  const outliers = outlierDetector('orders', {
    clock: manualClock(loop),
    random: seeded(1),
    cells,
    tell,
    event: event => void events.push(event),
    detected: (by, outcome) => void detected.push(`${by} ${outcome}`),
    changed: () => changes++,
    sets: () => sets?.(endpoints) ?? [{ name: 'orders', members: endpoints }],
  })
  outliers.configure({ ...policy, ...overrides })
  outliers.review()

  /** Requests that begin and end now: by a status, or without an answer. */
  function ends(index: number, how: number | Failure, times = 1, requestId = ''): void {
    for (let i = 0; i < times; i++) {
      const endpoint = endpoints[index]!
      const record = new AttemptRecord()
      record.begin(loop.now)
      record.endpoint = endpoint
      endpoint.stats.requests.values[0]!++
      const failure = typeof how === 'number' ? null : how
      if (typeof how === 'number') record.status = how
      const isFailure = failure !== null || (typeof how === 'number' && [502, 503, 504].includes(how))
      outliers.report(record, isFailure ? 'failure' : 'success', failure, requestId)
    }
  }

  const states = () => endpoints.map(({ state }) => state)
  return { loop, outliers, endpoints, events, detected, ends, states, changes: () => changes }
}
