import type { Exchange } from '../core/exchange.ts'
import { isGrpcServerError } from '../core/grpc.ts'

/** Failures of the proxy and of endpoints. A 404 of the application is an answer. */
export function hasFailed({ failure, status, protocol, grpcStatus }: Exchange): boolean {
  return failure !== null || status >= 500 || (status === 0 && protocol !== 'tcp') || isGrpcServerError(grpcStatus)
}
