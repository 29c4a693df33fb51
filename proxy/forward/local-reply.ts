import type { Exchange } from '../core/exchange.ts'
import type { Failure } from '../core/failure.ts'
import { grpcKind, grpcStatusOfHttp } from '../core/grpc.ts'
import { grpcReason } from './grpc.ts'

/** A gRPC client is told in its own words: to it an answer of another kind says no more than that something is wrong. */
export function isToldInGrpc(exchange: Exchange, failure: Failure): boolean {
  if (exchange.protocol === 'tcp') return false
  if (exchange.grpc === '') exchange.grpc = grpcKind(exchange.request.headers)
  return exchange.grpc !== '' && failure.reply !== 'http'
}

/** The HTTP status by which the caller hears that it was refused; 0: it does not (a tunnel is closed). */
export function statusOfRefusal(exchange: Exchange): number {
  const { failure, reply, protocol } = exchange
  if (protocol === 'tcp') return 0
  if (failure !== null && isToldInGrpc(exchange, failure)) return 200
  return reply === null ? failure!.httpStatus : reply.status
}

/** What the caller was told of its call, or makes of what it got. */
export function concludeGrpc(exchange: Exchange): void {
  const { failure } = exchange
  if (failure !== null) {
    exchange.grpcStatus = failure.grpcStatus
    exchange.grpcMessage = grpcReason(failure, exchange.detail)
  } else if (exchange.grpcStatus < 0) {
    exchange.grpcStatus = grpcStatusOfHttp(exchange.status)
    exchange.grpcMessage = `the answer had no grpc-status, and HTTP status ${exchange.status}`
  }
}
