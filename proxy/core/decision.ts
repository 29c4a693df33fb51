import type { RetryCondition } from '../../mesh-config/snapshot.ts'
import { type AnotherTry, anotherTry } from './another-try.ts'
import type { Random } from './clock.ts'
import type { Endpoint } from './endpoint.ts'
import type { Failure } from './failure.ts'
import { NO_GRPC_STATUS } from './grpc.ts'
import { randomWord } from './trace-ids.ts'

/** One try at one endpoint. Reused from exchange to exchange. */
export class AttemptRecord {
  endpoint: Endpoint | null = null
  /** Which policy chose, and between whom: P2C notes both candidates and their loads. */
  policy = ''
  other: Endpoint | null = null
  load = 0
  otherLoad = 0
  /** The subset has no usable endpoint: another one, or the whole service, was asked instead. */
  fallback = false
  /** A sticky session chose, and no policy. */
  sticky = false
  /** The priority that was drawn; -1: there was no choice. */
  priority = -1
  /** Zone-aware routing: kept to our own zone, or sent to another one; empty: it did not apply. */
  zone: '' | 'local' | 'spill' = ''
  /** How many picks were passed over because the endpoint was at a limit of its own. */
  passedOver = 0
  /** Health or ejections were not believed. */
  panic = false
  /** The one request that decides whether its endpoint is admitted again. */
  isProbe = false
  /** While it runs, no other is sent (core/ejection.ts); 0: it is over, or none. */
  probe = 0
  startedAt = 0
  /** When the request head was handed to a connection; 0: never. */
  sentAt = 0
  reusedConnection = false
  /** HTTP/1.1 that went as HTTP/2 to the sidecar of the endpoint. */
  carried = false
  /** Set when this attempt is over without an answer that was passed on. */
  failure: Failure | null = null
  detail = ''
  /** Set when a head came. */
  status = 0
  /** Set when the endpoint said how a gRPC call went. */
  grpcStatus = NO_GRPC_STATUS
  /** When the final response head came, passed on or not; 0: none came. */
  headAt = 0
  /** When it was over: its answer was out whole, was dropped or broke off, or it failed. */
  endedAt = 0
  /** Whether there was another try after it, and why. */
  another: AnotherTry = anotherTry.unasked
  /** What its end falls under in `retries.on`; null: nothing, or it was not looked at. */
  condition: RetryCondition | null = null
  /** How long the endpoint wants the next try to wait; 0: it does not say. */
  delayMs = 0
  /** How long it wants to be left alone itself (`Retry-After`), from `headAt` on; 0: it does not say. */
  restMs = 0
  /** It began while the one before was still running. */
  isHedge = false
  /** Its CLIENT span, which the endpoint was told, as words (trace-ids.ts); 0: none was made yet. */
  spanHigh = 0
  spanLow = 0

  /** Of its CLIENT span: it was made. */
  get hasSpanId(): boolean {
    return (this.spanHigh | this.spanLow) !== 0
  }

  newSpan(random: Random): void {
    this.spanHigh = randomWord(random)
    this.spanLow = randomWord(random)
    if (!this.hasSpanId) this.spanLow = 1
  }

  begin(now: number): void {
    this.endpoint = null
    this.policy = ''
    this.other = null
    this.load = 0
    this.otherLoad = 0
    this.fallback = false
    this.sticky = false
    this.priority = -1
    this.zone = ''
    this.panic = false
    this.isProbe = false
    this.probe = 0
    this.passedOver = 0
    this.startedAt = now
    this.sentAt = 0
    this.reusedConnection = false
    this.carried = false
    this.failure = null
    this.detail = ''
    this.status = 0
    this.grpcStatus = NO_GRPC_STATUS
    this.headAt = 0
    this.endedAt = 0
    this.another = anotherTry.unasked
    this.condition = null
    this.delayMs = 0
    this.restMs = 0
    this.isHedge = false
    this.spanHigh = 0
    this.spanLow = 0
  }
}

/** Of an attempt that never began. */
export const NO_ATTEMPT = new AttemptRecord()

/**
 * What was decided for one exchange, and why. `/explain`, `/flights`, the access log and span attributes are views of
 * it. Filled in place by the corridor; one per exchange object, begun anew for each request.
 */
export class DecisionRecord {
  /** How the service was found: `port`, `host`, `sni`, or empty when none was. */
  by = ''
  service = ''
  route = ''
  /** The registry was asked for the service, because no request had needed it before. */
  onDemand = false
  /** The number in [0, 1) that chose among the destinations; -1: there was no choice. */
  draw = -1
  /** Which of the destinations of the route it led to. */
  chosen = 0
  /** Service and subset the draw led to. */
  destination = ''
  /** What filters have to say of it, in order: `name: text`. */
  notes: readonly string[] = NO_NOTES
  attempts = 0
  /** One from the start: an empty list would make room for seventeen. */
  readonly tries = [new AttemptRecord()]

  begin(): void {
    this.by = ''
    this.service = ''
    this.route = ''
    this.onDemand = false
    this.draw = -1
    this.chosen = 0
    this.destination = ''
    this.notes = NO_NOTES
    this.attempts = 0
  }

  /** A filter says what it decided, and why. For people: never a label, and shown as any text from elsewhere. */
  note(filter: string, text: string): void {
    if (this.notes.length < MOST_NOTES) this.notes = [...this.notes, `${filter}: ${text.slice(0, LONGEST_NOTE)}`]
  }

  nextTry(now: number): AttemptRecord {
    let record = this.tries[this.attempts]
    if (record === undefined) {
      record = new AttemptRecord()
      this.tries.push(record)
    }
    this.attempts++
    record.begin(now)
    return record
  }

  /** The last one did not begin after all. */
  takeBack(): void {
    this.attempts--
  }
}

const NO_NOTES: readonly string[] = []
const MOST_NOTES = 32
const LONGEST_NOTE = 512
