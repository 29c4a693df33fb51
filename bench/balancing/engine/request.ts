import type { Endpoint } from '../../../proxy/core/endpoint.ts'
import type { ResponseHead } from '../../../proxy/core/message.ts'
import type { Due } from './event-queue.ts'

/** What serves a request. */
export interface Server {
  isDone(request: Request): void
}

/** What sent it. */
export interface Caller {
  answered(request: Request, head: ResponseHead): void
}

/** One request. Reused. */
export class Request implements Due {
  sidecar: Caller | null = null
  instance: Server | null = null
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

  begin(sidecar: Caller, now: number, workMs: number): void {
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
