import type { Endpoint } from '../../../proxy/core/endpoint.ts'
import type { ResponseHead } from '../../../proxy/core/message.ts'
import type { Due } from './event-queue.ts'
import type { Instance } from './instance.ts'
import type { Sidecar } from './sidecar.ts'

/** One request on its way. Used again and again. */
export class Request implements Due {
  sidecar: Sidecar | null = null
  instance: Instance | null = null
  endpoint: Endpoint | null = null
  sentAt = 0
  /** How long an instance works on it that is as it should be. */
  workMs = 0
  /** How long its instance had stood still when this request's end was planned. */
  stoppedMs = 0
  /** With what it will be answered, where that is known already. */
  head: ResponseHead | null = null
  /** Its row in the log; -1: it is not written down. */
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
