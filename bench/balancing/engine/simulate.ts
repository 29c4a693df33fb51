import { seeded } from '../../../test/support/random.ts'
import { balancerSpec, serviceSpec } from '../../../test/support/specs.ts'
import type { Contender } from '../contenders.ts'
import type { Scenario } from '../scenario.ts'
import { callerHashes } from './callers.ts'
import { clockOf, EventQueue } from './event-queue.ts'
import { Fleet } from './fleet.ts'
import type { Instance, InstanceSpec } from './instance.ts'
import type { RequestLog } from './log.ts'
import { Sidecar } from './sidecar.ts'
import { callersOf, Traffic } from './traffic.ts'

/** The results after the warm-up. */
export interface Run {
  readonly log: RequestLog
  /** Those that stayed to the end. */
  readonly instances: readonly Instance[]
  /** All requests, those of the warm-up included. */
  readonly simulated: number
  /** Requests under way at the end: 0, or there is a bug. */
  readonly left: number
}

/** Sidecars learn of a change one after the other. */
const NEWS_MS = 100
/** The time after the last request for its answers: longer than the longest queue. */
const AFTER_MS = 600_000

/** Runs one scenario with one balancer, from a seed: several independent sidecars before one fleet. */
export function simulate(scenario: Scenario, { balancer, reports }: Contender, seed: number): Run {
  const { change, warmUpMs, measuredMs } = scenario
  const queue = new EventQueue()
  const seeds = seeded(seed)
  const stream = () => seeded(Math.floor(seeds() * 2 ** 32))
  const traffic = new Traffic(scenario, queue, stream)
  const fleet = new Fleet(queue, stream)
  const start = (specs: readonly InstanceSpec[]) =>
    specs.map(spec => fleet.start(reports ? { ...spec, reports } : spec))

  const first = start(scenario.instances)
  const service = serviceSpec('orders', first, {
    balancer: balancerSpec({ ...scenario.balancer, ...balancer }),
    // Outlier detection is off where the scenario does not ask for it: the 503 of a full instance would eject it.
    ...(scenario.outliers ? {} : { outliers: { consecutiveGatewayFailures: 0 } }),
  })
  traffic.hashes = callerHashes(service.balancer, callersOf(scenario).length)
  const clock = clockOf(queue)
  for (let i = 0; i < scenario.sidecars; i++) {
    const deps = {
      clock,
      random: stream(),
      instance: (name: string) => fleet.instance(name),
      done: traffic.done.bind(traffic),
    }
    traffic.sidecars.push(new Sidecar(service, deps))
  }

  queue.plan(queue.now, traffic)
  queue.runUntil(queue.now + warmUpMs)
  if (change !== null) {
    const after = [...first.slice(change.leaving), ...start(change.joining)]
    traffic.sidecars.forEach(
      (sidecar, i) => void queue.plan(queue.now + i * NEWS_MS, { happen: () => sidecar.update(after) }),
    )
  }
  queue.runUntil(queue.now + measuredMs + AFTER_MS)
  const left = traffic.sidecars.reduce((sum, { active }) => sum + active, 0)
  return { log: traffic.log, instances: fleet.instances.slice(change?.leaving ?? 0), simulated: traffic.sent, left }
}
