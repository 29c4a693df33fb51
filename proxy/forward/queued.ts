import type { AdmissionWaiter } from '../core/admission.ts'
import type { Cluster } from '../core/cluster.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Failure } from '../core/failure.ts'
import { type Priority, priorityOf } from '../core/priority.ts'

export interface QueuedOwner {
  readonly exchange: Exchange
  admittedBy(cluster: Cluster, now: number): void
  refusedBy(failure: Failure, detail: string): void
}

/** An exchange that waits for a permit of its service. Made when one first has to, and used again. */
export class Queued implements AdmissionWaiter {
  priority: Priority = 1
  deadlineAt = 0
  readonly #owner: QueuedOwner
  /** Null: it does not wait. */
  #cluster: Cluster | null = null
  #since = 0

  constructor(owner: QueuedOwner) {
    this.#owner = owner
  }

  /** False: it may not. */
  wait(cluster: Cluster, refusal: Failure, now: number): boolean {
    const { exchange } = this.#owner
    this.priority = priorityOf(exchange)
    this.deadlineAt = exchange.deadlineAt
    this.#cluster = cluster
    this.#since = now
    if (cluster.admission.wait(refusal, this, now)) return true
    this.#cluster = null
    return false
  }

  admitted(now: number): void {
    const cluster = this.#cluster!
    this.#cluster = null
    this.#owner.exchange.decision.note('queue', `it waited ${Math.round(now - this.#since)} ms for a permit`)
    this.#owner.admittedBy(cluster, now)
  }

  refused(failure: Failure, detail: string): void {
    this.#cluster = null
    this.#owner.refusedBy(failure, detail)
  }

  leave(): void {
    this.#cluster?.admission.leave(this)
    this.#cluster = null
  }
}
