import type { EndpointSpec } from '../../../mesh-config/snapshot.ts'
import type { Random } from '../../../proxy/core/clock.ts'
import { endpointSpec } from '../../../test/support/specs.ts'
import type { EventQueue } from './event-queue.ts'
import { Instance, type InstanceSpec } from './instance.ts'

/** All instances, past ones included, and how the registry lists them. */
export class Fleet {
  readonly #byName = new Map<string, Instance>()
  readonly #queue: EventQueue
  readonly #stream: () => Random

  constructor(queue: EventQueue, stream: () => Random) {
    this.#queue = queue
    this.#stream = stream
  }

  start(spec: InstanceSpec): EndpointSpec {
    const number = this.#byName.size
    const name = `10.0.${number >> 8}.${number & 255}:80`
    this.#byName.set(name, new Instance(name, spec, this.#queue, this.#stream()))
    return endpointSpec(name, { weight: spec.weight })
  }

  instance(name: string): Instance {
    return this.#byName.get(name)!
  }

  /** In the order in which they were started. */
  get instances(): Instance[] {
    return [...this.#byName.values()]
  }
}

/** Their capacity in requests a second, without temporary trouble. */
export function capacityOf(specs: readonly InstanceSpec[], workMs: number): number {
  return specs.reduce(
    (sum, { workers, slowness, failsAfterMs }) =>
      sum + (failsAfterMs === null ? (1000 * workers) / (workMs * slowness) : 0),
    0,
  )
}
