import type { Endpoint } from '../../../proxy/core/endpoint.ts'
import type { ResponseHead } from '../../../proxy/core/message.ts'
import type { Due } from './event-queue.ts'
import type { Instance } from './instance.ts'
import type { Sidecar } from './sidecar.ts'

/** One request. Reused. */
export class Request implements Due {
  sidecar: Sidecar | null = null
  instance: Instance | null = null
  endpoint: Endpoint | null = null
  sentAt = 0
  /** Its duration at a healthy instance. */
  workMs = 0
  /** How long its instance had paused when the end was planned. */
  stoppedMs = 0
  /** The planned answer, where it is known already. */
  head: ResponseHead | null = null
  /** Its row in the log; -1: it is not recorded. */
  row = -1

  begin(sidecar: Sidecar, now: number, workMs: number): void {
    this.sidecar = sidecar
    this.sentAt = now
    this.workMs = workMs
    this.head = null
    this.row = -1
  }

  happen(): void {
    this.instance!.isDone(this)
  }

  answer(head: ResponseHead): void {
    this.sidecar!.answered(this, head)
  }
}
