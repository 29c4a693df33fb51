/**
 * What is carried from the request that a process serves to the calls that it makes for it. One list: what a proxy
 * learns to read later is added here.
 */

/**
 * The trace: W3C Trace Context, B3 in one header, B3 in several. One belongs to the other, so a call on which the
 * application has set its own trace gets none of them.
 */
export const traceFields = [
  'traceparent',
  'tracestate',
  'b3',
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-parentspanid',
  'x-b3-sampled',
  'x-b3-flags',
] as const

/** Any of these says that the application has set its own trace. */
export const ownTrace = ['traceparent', 'b3', 'x-b3-traceid'] as const

/** Carried as they are: the id of the request, the baggage of its trace, the number of the attempt it is served by. */
export const otherFields = ['x-request-id', 'baggage', 'x-outrigger-attempt'] as const

/** What is left of the request's time, as gRPC writes it (`250m`); only gRPC calls get it. */
export const GRPC_TIMEOUT = 'grpc-timeout'

/** The same for all other calls: whole milliseconds. */
export const DEADLINE = 'x-outrigger-deadline'
