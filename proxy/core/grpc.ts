import type { Headers } from './message.ts'

/** The names of `google.rpc.Code`, by number. */
export const grpcCodes = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const

/** No status has come: the call runs, or it is none of gRPC. */
export const NO_GRPC_STATUS = -1

/** What a request says it is by its content type; empty: not gRPC. `-text`: gRPC-Web in base64. */
export type GrpcKind = '' | 'grpc' | 'grpc-web' | 'grpc-web-text'

/** `14 UNAVAILABLE`; a number without a name stands alone. */
export function grpcStatusText(status: number): string {
  const name = grpcCodes[status]
  return name === undefined ? String(status) : `${status} ${name}`
}

/**
 * What 5xx are to HTTP: UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS (as OpenTelemetry
 * counts errors of servers).
 */
const serverErrors: ReadonlySet<number> = new Set([2, 4, 12, 13, 14, 15])

export function isGrpcServerError(status: number): boolean {
  return serverErrors.has(status)
}

/** What a message says it is. gRPC-Web carries its trailers in the body, and `-text` is that in base64. */
export function grpcKind(headers: Headers): GrpcKind {
  const type = headers.get('content-type')
  if (type === undefined || !type.startsWith('application/grpc')) return ''
  if (endsAt(type, 16)) return 'grpc'
  if (type.startsWith('-web-text', 16) && endsAt(type, 25)) return 'grpc-web-text'
  return type.startsWith('-web', 16) && endsAt(type, 20) ? 'grpc-web' : ''
}

/** The name of a content type ends here: the format of the messages may follow, or parameters. */
function endsAt(type: string, at: number): boolean {
  return type.length === at || type[at] === '+' || type[at] === ';'
}

/** gRPC, and not gRPC-Web. */
export function isGrpc(headers: Headers): boolean {
  return grpcKind(headers) === 'grpc'
}

/** What a caller makes of an answer without a status (grpc/doc/http-grpc-status-mapping.md). */
export function grpcStatusOfHttp(status: number): number {
  if (status === 400) return 13
  if (status === 401) return 16
  if (status === 403) return 7
  if (status === 404) return 12
  return status === 429 || status === 502 || status === 503 || status === 504 ? 14 : 2
}
