import type { Cluster } from './cluster.ts'
import { DecisionRecord } from './decision.ts'
import type { Endpoint } from './endpoint.ts'
import type { Failure } from './failure.ts'
import type { FilterChain, Later, LocalReply } from './filter.ts'
import { type GrpcKind, NO_GRPC_STATUS } from './grpc.ts'
import type { Protocol, RequestHead } from './message.ts'
import type { Route } from './route.ts'
import { TraceContext } from './trace.ts'
import type { Peer } from './wire.ts'

/**
 * One request and its response, from first byte to last, over all attempts: what filters read and telemetry reports.
 * One object serves the requests of an HTTP/1 connection, or of an HTTP/2 stream object, one after the other; no part
 * may keep it past `Telemetry.exchange`. Every field is set in the constructor, so that V8 sees one shape.
 */
export class Exchange {
  readonly peer: Peer
  readonly direction: 'inbound' | 'outbound'
  readonly protocol: Protocol
  /** One more with each request, so that a waiter can tell whether the request it waited for is still there. */
  generation = 0
  request: RequestHead
  /** 0: no head was sent downstream. */
  status = 0
  route: Route | null = null
  cluster: Cluster | null = null
  /** The filters of its listener, and once it has a route, of that as well; null: none was asked yet. */
  filters: FilterChain | null = null
  /** So many of them have run. */
  filtersRan = 0
  /** What a decision waits for. */
  later: Later | null = null
  /** The wait for it, while it lasts. */
  waiting: { cancel(): void } | null = null
  /** The answer of a filter. */
  reply: LocalReply | null = null
  endpoint: Endpoint | null = null
  /** The failure that ended it; null when the upstream's own answer was passed on whole. */
  failure: Failure | null = null
  /** Free text for the access log; never parsed, never a label. */
  detail = ''
  requestId = ''
  /** Set where the endpoints may speak gRPC, or the proxy itself had to answer. */
  grpc: GrpcKind = ''
  /** Of a gRPC call: what the caller was told, or would have been. */
  grpcStatus = NO_GRPC_STATUS
  /** As people read it; bounded, and as unsafe as any text from elsewhere. */
  grpcMessage = ''
  /** When the caller's `grpc-timeout` runs out, monotonic milliseconds; 0: it set none. */
  deadlineAt = 0
  /** Until when its caller waits for the head of the answer, as it said; 0: it did not say. */
  answerDueAt = 0
  /** Monotonic milliseconds; 0: did not happen. */
  startedAt = 0
  requestEndedAt = 0
  upstreamStartedAt = 0
  firstByteAt = 0
  completedAt = 0
  /** Body bytes. */
  bytesIn = 0
  bytesOut = 0
  readonly decision = new DecisionRecord()
  readonly trace = new TraceContext()
  /** What filters keep for this exchange, by slot; null: nothing. */
  #kept: unknown[] | null = null

  constructor(peer: Peer, direction: 'inbound' | 'outbound', protocol: Protocol, request: RequestHead) {
    this.peer = peer
    this.direction = direction
    this.protocol = protocol
    this.request = request
  }

  begin(request: RequestHead, now: number): void {
    this.generation++
    this.request = request
    this.status = 0
    this.route = null
    this.cluster = null
    this.filters = null
    this.filtersRan = 0
    this.later = null
    this.waiting = null
    this.reply = null
    this.endpoint = null
    this.failure = null
    this.detail = ''
    this.requestId = ''
    this.grpc = ''
    this.grpcStatus = NO_GRPC_STATUS
    this.grpcMessage = ''
    this.deadlineAt = 0
    this.answerDueAt = 0
    this.startedAt = now
    this.requestEndedAt = 0
    this.upstreamStartedAt = 0
    this.firstByteAt = 0
    this.completedAt = 0
    this.bytesIn = 0
    this.bytesOut = 0
    this.decision.begin()
    this.trace.begin()
    this.#kept = null
  }

  /** Keeps something until the exchange ends. `slot`: as the filter was given it. */
  keep(slot: number, value: unknown): void {
    this.#kept ??= []
    this.#kept[slot] = value
  }

  /** What the filter kept; undefined: nothing. Its type is the filter's to know. */
  kept<Value>(slot: number): Value | undefined {
    return this.#kept?.[slot] as Value | undefined
  }

  /** Nothing is waited for any more. */
  endWait(): void {
    this.waiting?.cancel()
    this.waiting = null
  }
}
