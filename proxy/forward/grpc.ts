import type { Failure } from '../core/failure.ts'
import { NO_GRPC_STATUS } from '../core/grpc.ts'
import { HeaderList } from '../core/header-list.ts'
import type { Headers, ResponseHead } from '../core/message.ts'

/**
 * What the endpoint said of a call, in its trailers, or in the head where that is all there is; NO_GRPC_STATUS:
 * nothing, or no number.
 */
export function grpcStatusOf(headers: Headers): number {
  const status = headers.get('grpc-status')
  return status !== undefined && /^\d{1,3}$/.test(status) ? Number(status) : NO_GRPC_STATUS
}

/** What is longer is cut: it is for people. */
const LONGEST_MESSAGE = 512

/** The message beside a status, decoded; empty: there is none. */
export function grpcMessageOf(headers: Headers): string {
  const encoded = headers.get('grpc-message')
  if (encoded === undefined) return ''
  // What is not UTF-8 becomes U+FFFD, what is no escape stays: a message is shown, and never refused.
  const decoded = encoded
    .slice(0, 3 * LONGEST_MESSAGE)
    .replace(/(%[0-9A-Fa-f]{2})+/g, bytes => Buffer.from(bytes.replaceAll('%', ''), 'hex').toString())
  return decoded.length > LONGEST_MESSAGE ? decoded.slice(0, LONGEST_MESSAGE).toWellFormed() : decoded
}

/** The message of a local reply. */
export function grpcReason(failure: Failure, detail: string): string {
  return detail === '' ? failure.reason : `${failure.reason}: ${detail}`
}

/**
 * An answer that is a head only, as gRPC has it for errors (trailers-only): HTTP 200, and the status where trailers
 * would have it. `type`: of the request.
 */
export function grpcReply(failure: Failure, detail: string, type: string): ResponseHead {
  const headers = grpcTrailers(failure, detail)
  headers.pairs.unshift('content-type', type)
  return { status: 200, headers }
}

/** The end of a call that the proxy ends: its status, and its flag in a field of its own. */
export function grpcTrailers(failure: Failure, detail: string): HeaderList {
  return new HeaderList([
    'grpc-status',
    String(failure.grpcStatus),
    'grpc-message',
    `${percentEncoded(grpcReason(failure, detail))} (${failure.flag})`,
    'x-outrigger-flag',
    failure.flag,
  ])
}

/** All but printable ASCII, and `%` itself, as gRPC over HTTP/2 asks for. */
function percentEncoded(text: string): string {
  return text.toWellFormed().replace(/[^ -$&-~]/gu, encodeURIComponent)
}
