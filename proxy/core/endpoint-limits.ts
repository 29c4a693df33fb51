import type { EndpointLimitsSpec } from '../../mesh-config/snapshot.ts'
import { limited, type SharedCounts } from './shared-counts.ts'

/** What runs at one endpoint, in all data threads, and how much may (`limits.perEndpoint`). */
export class EndpointLimits {
  readonly counts: SharedCounts
  /** A reload replaces it. */
  spec: EndpointLimitsSpec

  constructor(counts: SharedCounts, spec: EndpointLimitsSpec) {
    this.counts = counts
    this.spec = spec
  }

  get mayConnect(): boolean {
    return this.counts.total(limited.connections) < this.#connections
  }

  takeConnection(): boolean {
    return this.counts.take(limited.connections, this.#connections)
  }

  get #connections(): number {
    return this.spec.connections ?? Number.POSITIVE_INFINITY
  }

  takePending(): boolean {
    return this.counts.take(limited.pending, this.spec.pending ?? Number.POSITIVE_INFINITY)
  }

  get isFull(): boolean {
    return this.counts.total(limited.requests) >= this.#requests
  }

  takeRequest(): boolean {
    return this.counts.take(limited.requests, this.#requests)
  }

  get #requests(): number {
    return this.spec.requests ?? Number.POSITIVE_INFINITY
  }
}
