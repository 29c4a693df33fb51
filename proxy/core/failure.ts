/** Envoy's short names, so that existing dashboards and habits carry over (`envoy:source/common/stream_info/utility.h`). */
export type ResponseFlag =
  | 'NR'
  | 'NC'
  | 'UH'
  | 'UF'
  | 'UO'
  | 'UT'
  | 'UC'
  | 'UR'
  | 'UPE'
  | 'URX'
  | 'LR'
  | 'DC'
  | 'DPE'
  | 'RL'
  | 'UAEX'
  | 'FI'
  | 'DI'
  | 'SI'
  | 'DT'
  | 'OM'

/**
 * What went wrong, as a value. One frozen object per kind, shared by every exchange that fails so: a failing upstream must not cost more CPU than a healthy one.
 */
export interface Failure {
  readonly failure: string
  readonly side: 'downstream' | 'upstream' | 'local'
  readonly flag: ResponseFlag
  readonly httpStatus: number
  readonly grpcStatus: number
  /** `unsent`: the upstream cannot have acted on it. `maybe-sent`: only an idempotent request may be tried again. */
  readonly replay: 'unsent' | 'maybe-sent' | 'never'
  /** One line for the caller and for docs/failures.md: what happened. */
  readonly reason: string
  /** What usually causes it and where to look: for docs/failures.md and `/explain`. */
  readonly remedy: string
}

export function isFailure(value: object): value is Failure {
  return 'failure' in value
}

function row(
  failure: string,
  side: Failure['side'],
  flag: ResponseFlag,
  httpStatus: number,
  grpcStatus: number,
  replay: Failure['replay'],
  reason: string,
  remedy: string,
): Failure {
  return Object.freeze({ failure, side, flag, httpStatus, grpcStatus, replay, reason, remedy })
}

/**
 * The failure table: local replies, the access log, metrics, docs/failures.md and the tests all read these rows. gRPC numbers are those of
 * `google.rpc.Code`; the HTTP ones follow Envoy except where a comment says why.
 */
export const failures = {
  noRoute: row(
    'no-route',
    'local',
    'NR',
    404,
    12,
    'never',
    'no route matches this request',
    'the detail says whether the service or the route is missing: name the host in `hosts:` of a service, or add a route; `outrigger explain` walks the same way',
  ),
  noCluster: row(
    'no-cluster',
    'local',
    'NC',
    503,
    14,
    'never',
    'the service it is meant for is not configured, or not known yet',
    'the route is ahead of the service: see /config',
  ),
  noHealthyUpstream: row(
    'no-healthy-upstream',
    'local',
    'UH',
    503,
    14,
    'unsent',
    'the service has no endpoint that may be used',
    'see /endpoints: none is registered, or all are failing, draining or ejected',
  ),
  connectRefused: row(
    'connect-refused',
    'upstream',
    'UF',
    503,
    14,
    'unsent',
    'the endpoint refused the connection',
    'nothing listens on the address: the instance is down or still starting',
  ),
  connectTimeout: row(
    'connect-timeout',
    'upstream',
    'UF',
    503,
    14,
    'unsent',
    'the endpoint did not accept the connection in time',
    'the host is gone or a firewall drops packets; `timeouts.connect` sets the time',
  ),
  connectFailed: row(
    'connect-failed',
    'upstream',
    'UF',
    503,
    14,
    'unsent',
    'the connection to the endpoint could not be made',
    '/flights has the system error: no route to host, name not found',
  ),
  connectLocal: row(
    'connect-local',
    'local',
    'UF',
    503,
    14,
    'unsent',
    'this machine could not make a connection',
    'the sidecar is out of file descriptors, ports or memory: /flights has the system error; raise the limit (ulimit -n, ip_local_port_range). The endpoint is not blamed',
  ),
  poolOverflow: row(
    'pool-overflow',
    'local',
    'UO',
    503,
    8,
    'unsent',
    'a circuit-breaking limit of the service is reached',
    '`limits:` of the service: connections, pending or requests; /endpoints shows the load',
  ),
  pendingTimeout: row(
    'pending-timeout',
    'local',
    'UO',
    503,
    8,
    'unsent',
    'no connection became free in time',
    'all connections are busy: raise `limits.connections`, or the service is too slow',
  ),
  refusedStream: row(
    'refused-stream',
    'upstream',
    'UR',
    503,
    14,
    'unsent',
    'the endpoint refused the stream before acting on it',
    'the endpoint is draining or over its stream limit',
  ),
  goawayUnprocessed: row(
    'goaway-unprocessed',
    'upstream',
    'UR',
    503,
    14,
    'unsent',
    'the endpoint went away (GOAWAY) before it looked at the request',
    'it is draining or restarting, and says nothing against it; seen only where no retry was possible',
  ),
  streamReset: row(
    'stream-reset',
    'upstream',
    'UR',
    503,
    14,
    'maybe-sent',
    'the endpoint reset the stream (RST_STREAM) before it answered',
    'the application gave the request up or failed in it; the `detail` has the error code',
  ),
  resetBeforeResponse: row(
    'reset-before-response',
    'upstream',
    'UC',
    503,
    14,
    'maybe-sent',
    'the endpoint closed the connection before it answered',
    'the instance was killed or crashed, or closed an idle connection just then',
  ),
  perTryTimeout: row(
    'per-try-timeout',
    'upstream',
    'UT',
    504,
    4,
    'maybe-sent',
    'the endpoint did not answer within the time of one attempt',
    '`timeouts.perTry` sets it; see p99 of the endpoint in /endpoints',
  ),
  upstreamTimeout: row(
    'upstream-timeout',
    'upstream',
    'UT',
    504,
    4,
    'never',
    'no answer within the time of the whole request',
    '`timeouts.request` sets it; /flights shows where the time went',
  ),
  deadlineExceeded: row(
    'deadline-exceeded',
    'upstream',
    'UT',
    504,
    4,
    'never',
    "no answer within the caller's deadline",
    'the caller sets it (`grpc-timeout`), `timeouts.grpcTimeoutMax` may shorten it; /flights shows where the time went',
  ),
  streamDeadline: row(
    'stream-deadline',
    'downstream',
    'DT',
    504,
    4,
    'never',
    "the caller's deadline came before the end of the answer",
    'the caller sets it (`grpc-timeout`), `timeouts.grpcTimeoutMax` may shorten it; a stream that is meant to go on needs a caller that sets none',
  ),
  upstreamProtocolError: row(
    'upstream-protocol-error',
    'upstream',
    'UPE',
    502,
    14,
    'maybe-sent',
    'the endpoint sent a malformed answer',
    '`detail` says which rule was broken; the connection was closed',
  ),
  resetAfterResponse: row(
    'reset-after-response',
    'upstream',
    'UC',
    502,
    14,
    'never',
    'the endpoint cut its answer short',
    'the answer had begun, so the downstream connection was reset',
  ),
  streamResetAfterResponse: row(
    'stream-reset-after-response',
    'upstream',
    'UR',
    502,
    14,
    'never',
    'the endpoint reset the stream (RST_STREAM) inside its answer',
    'the answer had begun, so the downstream stream was reset; the `detail` has the error code',
  ),
  upstreamIdle: row('upstream-idle', 'upstream', 'SI', 504, 4, 'never', 'nothing moved on the stream for too long', '`timeouts.idle` of the service sets it'),
  downstreamIdle: row(
    'downstream-idle',
    'downstream',
    'SI',
    408,
    4,
    'never',
    'the caller stopped reading the answer',
    '`timeouts.idle` of the service sets how long it may; nothing is wrong with the endpoint',
  ),
  streamIdle: row(
    'stream-idle',
    'downstream',
    'SI',
    408,
    4,
    'never',
    'neither side sent anything for too long, and the request was not whole',
    '`timeouts.idle` of the service sets it; a stream that is quiet for longer needs pings or messages of its own. Nothing is said against the endpoint',
  ),
  badRequest: row('bad-request', 'downstream', 'DPE', 400, 13, 'never', 'the request is malformed', '`detail` says which rule of RFC 9112 it breaks'),
  uriTooLong: row('uri-too-long', 'downstream', 'DPE', 414, 8, 'never', 'the request target is too long', '`limits.targetBytes` of the listener'),
  headTooLarge: row(
    'head-too-large',
    'downstream',
    'DPE',
    431,
    8,
    'never',
    'the request head has too many fields or bytes',
    '`limits.headers` and `limits.headBytes` of the listener',
  ),
  expectationFailed: row(
    'expectation-failed',
    'downstream',
    'DPE',
    417,
    13,
    'never',
    'an Expect other than 100-continue',
    'RFC 9110 section 10.1.1 knows no other',
  ),
  versionNotSupported: row(
    'version-not-supported',
    'downstream',
    'DPE',
    505,
    12,
    'never',
    'an HTTP version other than 1.0 and 1.1',
    'HTTP/2 begins with its preface; a request line cannot ask for it',
  ),
  grpcNeedsHttp2: row(
    'grpc-needs-http2',
    'downstream',
    'DPE',
    505,
    12,
    'never',
    'gRPC over HTTP/1.1, to a service of `protocol: grpc`',
    'the caller has to speak HTTP/2 (with prior knowledge), or gRPC-Web (content-type application/grpc-web)',
  ),
  // As Envoy answers what none of its upgrade_configs allows.
  tunnelRefused: row(
    'tunnel-refused',
    'local',
    'UAEX',
    403,
    7,
    'never',
    'this tunnel is not allowed here',
    '`upgrades` of the service names the protocols it may be upgraded to; CONNECT needs `connect` at the outbound listener',
  ),
  upgradeUnsupported: row(
    'upgrade-unsupported',
    'local',
    'UPE',
    502,
    12,
    'unsent',
    'the endpoint speaks HTTP/2 and does not take upgrades over it',
    'turn extended CONNECT (RFC 8441) on at the application, or let it speak HTTP/1.1 (`protocol: http`)',
  ),
  upgradeIgnored: row(
    'upgrade-ignored',
    'local',
    'UPE',
    502,
    12,
    'never',
    'the endpoint answered an upgrade with a page of its own, which over HTTP/2 would look like success',
    'the path is none of the WebSocket ones of the application; over HTTP/1.1 the caller would see its answer',
  ),
  tunnelIdle: row(
    'tunnel-idle',
    'local',
    'SI',
    504,
    4,
    'never',
    'nothing moved in the tunnel for too long',
    '`timeouts.tunnel` of the service sets it; a WebSocket that sends pings more often never gets there, nor a TCP connection with a keep-alive of its own protocol',
  ),
  tlsNotExpected: row(
    'tls-not-expected',
    'downstream',
    'DPE',
    400,
    13,
    'never',
    'the caller speaks TLS to a port for plain HTTP',
    'let the caller use http://; or write `protocol: detect` at the listener, which passes TLS on by its server name',
  ),
  headTimeout: row('head-timeout', 'downstream', 'DT', 408, 4, 'never', 'the request head did not arrive in time', '`timeouts.head` of the listener'),
  bodyTimeout: row('body-timeout', 'downstream', 'DT', 408, 4, 'never', 'the request body stopped arriving', '`timeouts.body` of the listener'),
  // 499 (nginx) is for the log only: nobody is left to read it.
  downstreamGone: row(
    'downstream-gone',
    'downstream',
    'DC',
    499,
    1,
    'never',
    'the caller went away before the answer was complete',
    'look at the timeout of the caller',
  ),
  outOfRoom: row(
    'out-of-room',
    'local',
    'OM',
    503,
    8,
    'never',
    'the sidecar held too much of bodies, and more for this exchange than for others',
    'a caller or an endpoint has stopped reading: `detail` says which bound was reached; `buffers` of the sidecar file is that of a data thread',
  ),
  drained: row('drained', 'local', 'LR', 503, 14, 'never', 'the proxy stopped before the answer was complete', '`drain.timeout` is shorter than this request'),
} as const satisfies Record<string, Failure>
