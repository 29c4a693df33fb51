import type { Failure } from '../core/failure.ts'
import { HeaderList } from '../core/header-list.ts'
import type { Headers, ResponseHead } from '../core/message.ts'

/** gRPC, and not gRPC-Web, which carries its trailers in the body. */
export function isGrpc(headers: Headers): boolean {
  const type = headers.get('content-type')
  return type?.startsWith('application/grpc') === true && (type.length === 16 || type[16] === '+' || type[16] === ';')
}

/** What the endpoint said of a call, in its trailers, or in the head where that is all there is; -1: nothing, or no number. */
export function grpcStatusOf(headers: Headers): number {
  const status = headers.get('grpc-status')
  return status !== undefined && /^\d{1,3}$/.test(status) ? Number(status) : -1
}

/** An answer that is a head only, as gRPC has it for errors: HTTP 200, and the status where trailers would have it. */
export function grpcReply(failure: Failure, detail: string): ResponseHead {
  const message = detail === '' ? failure.reason : `${failure.reason}: ${detail}`
  const headers = [
    'content-type',
    'application/grpc',
    'grpc-status',
    String(failure.grpcStatus),
    'grpc-message',
    `${percentEncoded(message)} (${failure.flag})`,
  ]
  return { status: 200, headers: new HeaderList(headers) }
}

/** All but printable ASCII, and `%` itself, as gRPC over HTTP/2 asks for. */
function percentEncoded(text: string): string {
  return text.toWellFormed().replace(/[^ -$&-~]/gu, encodeURIComponent)
}
