import type { EndpointLimits } from '../core/endpoint-limits.ts'
import type { EndpointRoom } from '../core/pool.ts'
import { limited } from '../core/shared-counts.ts'
import type { Permits } from './permits.ts'

/** The limits of one endpoint (`limits.perEndpoint`), beside those of its service. */
export class Room implements EndpointRoom {
  /** Null: it has none. */
  limits: EndpointLimits | null = null
  /** Which limit was reached when a wait was refused last. */
  refusedBy = ''
  readonly #permits: Permits

  constructor(permits: Permits) {
    this.#permits = permits
  }

  limitTo(limits: EndpointLimits | null, connections: number, pending: number): void {
    this.limits = limits
    limits?.counts.begin(limited.connections, connections)
    limits?.counts.begin(limited.pending, pending)
    this.#permits.share()
  }

  get mayConnect(): boolean {
    return this.limits === null || this.limits.mayConnect
  }

  takeConnection(): boolean {
    return this.limits === null || this.limits.takeConnection()
  }

  giveConnection(): void {
    this.limits?.counts.give(limited.connections)
  }

  /** One more waits, if it may. `isDialled`: a connection is made for it, so it may. */
  mayWait(isDialled: boolean): boolean {
    const { limits } = this
    if (isDialled) {
      this.#permits.wait()
      limits?.counts.add(limited.pending)
      return true
    }
    if (limits !== null && !limits.takePending()) {
      this.refusedBy = '`limits.perEndpoint.pending`'
      return false
    }
    if (this.#permits.tryWait()) return true
    limits?.counts.give(limited.pending)
    this.refusedBy = '`limits.pending`'
    return false
  }

  waited(): void {
    this.#permits.waited()
    this.limits?.counts.give(limited.pending)
  }
}
