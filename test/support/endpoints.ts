import type { BalancerSpec, EndpointSpec } from '../../mesh-config/snapshot.ts'
import { type BalancerDeps, NO_HASH, type PickContext } from '../../proxy/core/balancer.ts'
import { ownCells } from '../../proxy/core/cells.ts'
import type { Random } from '../../proxy/core/clock.ts'
import { AttemptRecord } from '../../proxy/core/decision.ts'
import { Endpoint } from '../../proxy/core/endpoint.ts'
import { failures } from '../../proxy/core/failure.ts'
import type { Pool } from '../../proxy/core/pool.ts'
import { HISTOGRAM_SLOTS } from '../../proxy/core/slots.ts'
import type { Counter, EndpointStats } from '../../proxy/core/telemetry.ts'
import { manualClock } from './clock.ts'
import { EventLoop } from './event-loop.ts'
import { seeded } from './random.ts'
import { balancerSpec, endpointSpec } from './specs.ts'

/** An endpoint without connections, for tests of code that only reads endpoints. */
export function bareEndpoint(overrides: Partial<EndpointSpec> = {}, name = '10.0.0.1:80'): Endpoint {
  const spec = endpointSpec(name, overrides)
  return new Endpoint(spec, name, new NoPool(), noStats())
}

export function bareEndpoints(weights: readonly number[]): Endpoint[] {
  return weights.map((weight, i) => bareEndpoint({ weight }, `10.0.${i >> 8}.${i & 255}:80`))
}

export class NoPool implements Pool {
  readonly protocol = 'HTTP/1.1'
  readonly idle = 0
  readonly connections = 0
  readonly pending = 0
  readonly hasAllRequests = false
  readonly isBusy = false
  readonly room = { limits: null, refusedBy: '', limitTo() {} }
  drained = false
  acquire = () => failures.connectRefused
  connect = () => failures.connectRefused
  cancel() {}
  giveUp() {}
  closed() {}
  drain() {
    this.drained = true
  }
}

function counter(): Counter {
  return { values: new Float64Array(1), index: 0 }
}

export function noStats(): EndpointStats {
  return {
    requests: counter(),
    failures: counter(),
    connections: counter(),
    connectFailures: counter(),
    active: counter(),
    pending: counter(),
    ejected: counter(),
    ejections: counter(),
    latency: { values: new Float64Array(HISTOGRAM_SLOTS), index: 0, record() {} },
    tcpBytes: () => ({ sent: counter(), received: counter() }),
  }
}

export function pickContext(tried: readonly Endpoint[] = []): PickContext {
  return { tried, record: new AttemptRecord(), hash: NO_HASH, sticky: '', madeCookie: '' }
}

/**
 * The dependencies of a policy: the settings of a file with only `settings`, random numbers from a seed, and a clock
 * that stands still unless a loop is given.
 */
export function balancerDeps(
  chance: number | Random = 1,
  settings: Partial<BalancerSpec> = {},
  loop = new EventLoop(),
): BalancerDeps {
  return {
    clock: manualClock(loop),
    random: typeof chance === 'number' ? seeded(chance) : chance,
    spec: balancerSpec(settings),
  }
}

/** Of an outlier detector that nobody listens to, in a proxy with one data thread. */
export const quiet = { cells: ownCells, event() {}, tell() {}, detected() {} }

/** An attempt that its endpoint has answered with this status. */
export function answered(endpoint: Endpoint, status: number, startedAt: number): AttemptRecord {
  const record = new AttemptRecord()
  record.begin(startedAt)
  record.endpoint = endpoint
  record.status = status
  return record
}
