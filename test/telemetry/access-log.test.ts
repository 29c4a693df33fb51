import { describe, expect, test } from 'vitest'
import { readLogTemplate } from '../../mesh-config/log-template.ts'
import type { AccessLogSpec } from '../../mesh-config/snapshot.ts'
import type { Clock } from '../../proxy/core/clock.ts'
import { failures } from '../../proxy/core/failure.ts'
import { accessLogFormatter } from '../../proxy/telemetry/access-log.ts'
import { finishedExchange } from '../support/finished-exchange.ts'
import { accessLogSpec } from '../support/specs.ts'

/** The exchanges began 45.6 ms ago. */
const clock: Clock = {
  now: () => 1_045.6,
  wallTime: () => Date.UTC(2026, 10, 21, 7, 8, 9, 45) + 0.6,
  timer: () => ({ arm() {}, cancel() {} }),
}

function line(spec: Partial<AccessLogSpec>, exchange = finishedExchange()): string {
  return accessLogFormatter(accessLogSpec({ mode: 'on', ...spec }), 'web')(exchange, clock)
}

const text = (template: string, exchange = finishedExchange()) => line({ template }, exchange).slice(0, -1)

describe('text', () => {
  test("by default Envoy's format, as tools already read it", () => {
    const exchange = finishedExchange({
      headers: [
        ['User-Agent', 'curl/8'],
        ['X-Forwarded-For', '10.0.0.1'],
      ],
    })
    expect(line({}, exchange)).toBe(
      '[2026-11-21T07:08:09.000Z] "GET /api/1 HTTP/1.1" 200 - 12 345 46 37 "10.0.0.1" "curl/8" "id-1" "orders" "10.0.0.7:8080"\n',
    )
  })

  test('a request that never reached an endpoint', () => {
    const exchange = finishedExchange()
    Object.assign(exchange, {
      status: 404,
      failure: failures.noRoute,
      endpoint: null,
      route: null,
      cluster: null,
      firstByteAt: 0,
      upstreamStartedAt: 0,
    })
    expect(line({}, exchange)).toBe(
      '[2026-11-21T07:08:09.000Z] "GET /api/1 HTTP/1.1" 404 NR 12 345 46 - "-" "-" "id-1" "orders" "-"\n',
    )
  })

  test.each([
    ['%REQ(:METHOD)% %REQ(:PATH)% %REQ(:AUTHORITY)% %REQ(:SCHEME)%', 'GET /api/1 orders http'],
    ['%REQ(X-A?USER-AGENT)%', 'curl'],
    ['%REQ(X-A?X-B)%', '-'],
    ['%REQ(USER-AGENT):2%', 'cu'],
    ['%RESP(:STATUS)% %RESP(x-envoy-upstream-service-time)%', '200 37'],
    ['%DURATION% %REQUEST_DURATION% %RESPONSE_DURATION% %RESPONSE_TX_DURATION%', '46 1 40 6'],
    [
      '%ROUTE_NAME% %UPSTREAM_CLUSTER% %UPSTREAM_HOST% %UPSTREAM_REQUEST_ATTEMPT_COUNT%',
      '/api/* orders/v2 10.0.0.7:8080 1',
    ],
    [
      '%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_LOCAL_ADDRESS%',
      '10.0.0.1:51234 10.0.0.1 127.0.0.1:15001',
    ],
    ['%RESPONSE_CODE_DETAILS% %RESPONSE_FLAGS% %UPSTREAM_TRANSPORT_FAILURE_REASON%', 'via_upstream - -'],
    ['%START_TIME(%Y/%m/%dT%H:%M:%S%z %3f %s %b %%)% 100%%', '2026/11/21T07:08:09+0000 000 1795244889 Nov % 100%'],
    ['%GRPC_STATUS% %GRPC_STATUS_NUMBER% %TRAILER(GRPC-MESSAGE)%', '- - -'],
    ['', ''],
  ])('%s', (template, expected) => {
    expect(text(template, finishedExchange({ headers: [['user-agent', 'curl']] }))).toBe(expected)
  })

  test.each([
    [0, 'OK OK OK 0 0 0'],
    [4, 'DeadlineExceeded DeadlineExceeded DEADLINE_EXCEEDED 4 4 4'],
    [99, '99 99 99 99 99 99'],
  ])('a gRPC status %i, in each of the forms that Envoy has', (grpcStatus, expected) => {
    const exchange = Object.assign(finishedExchange(), { grpc: 'grpc', grpcStatus, grpcMessage: '' })
    const template =
      '%GRPC_STATUS% %GRPC_STATUS(CAMEL_STRING)% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS(NUMBER)% %GRPC_STATUS_NUMBER% %TRAILER(GRPC-STATUS)%'
    expect(text(template, exchange)).toBe(expected)
  })

  test('the trace: the one it was given, else the one that its caller sent', () => {
    const id = '1'.repeat(32)
    const exchange = finishedExchange({ headers: [['traceparent', `00-${id}-${'2'.repeat(16)}-00`]] })
    expect(text('%TRACE_ID%', exchange)).toBe(id)
    exchange.trace.traceId = '3'.repeat(32)
    expect(text('%TRACE_ID%', exchange)).toBe('3'.repeat(32))
    expect(JSON.parse(line({ format: 'json' }, exchange))).toMatchObject({ trace_id: '3'.repeat(32) })
    expect(text('%TRACE_ID%', finishedExchange({ headers: [['traceparent', 'odd']] }))).toBe('-')
  })

  test('a gRPC message is as safe as any text', () => {
    const exchange = Object.assign(finishedExchange(), { grpc: 'grpc', grpcStatus: 13, grpcMessage: 'no\n"é' })
    expect(text('%TRAILER(GRPC-MESSAGE)% %RESP(GRPC-MESSAGE):2%', exchange)).toBe('no\\x0A\\x22é no')
    expect(JSON.parse(line({ format: 'json' }, exchange))).toMatchObject({ grpc_status: 13, grpc_message: 'no\n"é' })
  })

  test('what a caller sends cannot forge a line, leave the quotes or steer a terminal', () => {
    const path = '/\r\n[2026] "GET /forged\u001b[2J\u009b0m\u0085\u2028 \\ é'
    expect(text('"%REQ(:PATH)%"', finishedExchange({ path }))).toBe(
      '"/\\x0D\\x0A[2026] \\x22GET /forged\\x1B[2J\\x9B0m\\x85\\u2028 \\x5C é"',
    )
  })

  test('a length is of what was sent, not of its escapes', () => {
    expect(text('%REQ(:PATH):3%', finishedExchange({ path: '\n\n\n\n' }))).toBe('\\x0A\\x0A\\x0A')
  })
})

describe('JSON', () => {
  test('one object on one line, numbers as numbers, null where there is nothing', () => {
    const exchange = finishedExchange()
    Object.assign(exchange, {
      failure: failures.connectRefused,
      status: 503,
      detail: 'ECONNREFUSED',
      endpoint: null,
      firstByteAt: 0,
    })
    const written = line({ format: 'json' }, exchange)
    expect(written).toMatch(/^\{[^\n]*\}\n$/)
    expect(JSON.parse(written)).toEqual({
      start_time: '2026-11-21T07:08:09.000Z',
      direction: 'outbound',
      method: 'GET',
      path: '/api/1',
      protocol: 'HTTP/1.1',
      response_code: 503,
      grpc_status: null,
      grpc_message: null,
      response_flags: 'UF',
      response_code_details: 'connect-refused',
      detail: 'ECONNREFUSED',
      bytes_received: 12,
      bytes_sent: 345,
      duration: 46,
      upstream_service_time: null,
      x_forwarded_for: null,
      user_agent: null,
      request_id: 'id-1',
      trace_id: null,
      authority: 'orders',
      downstream_remote_address: '10.0.0.1:51234',
      service: 'orders',
      route_name: '/api/*',
      upstream_cluster: 'orders/v2',
      upstream_host: null,
      upstream_request_attempt_count: 1,
    })
  })

  test('any text comes back as it was, and no control character is in the line', () => {
    const path = '/"\\\n\u001b\u009b\u007f\u2028é\ud83d\ude00'
    const written = line({ format: 'json' }, finishedExchange({ path }))
    expect((JSON.parse(written) as { path: string }).path).toBe(path)
    expect(written.slice(0, -1)).not.toMatch(/[\x00-\x1f\x7f-\x9f\u2028]/)
  })
})

describe('which requests', () => {
  const failed = Object.assign(finishedExchange(), { failure: failures.noRoute, status: 404 })
  const broken = Object.assign(finishedExchange(), { status: 502 })
  const cut = Object.assign(finishedExchange(), { status: 0 })
  const missing = Object.assign(finishedExchange(), { status: 404 })

  test('off: none', () => expect(line({ mode: 'off' }, failed)).toBe(''))

  test('errors: what failed, and what the upstream answered with 5xx', () => {
    const unavailable = Object.assign(finishedExchange(), { grpcStatus: 14 })
    const notFound = Object.assign(finishedExchange(), { grpcStatus: 5 })
    const logged = [failed, broken, cut, missing, finishedExchange(), unavailable, notFound].map(
      exchange => line({ mode: 'errors' }, exchange) !== '',
    )
    expect(logged).toEqual([true, true, true, false, false, true, false])
  })
})

describe('a template that is wrong', () => {
  test.each([
    ['%DURATON%', 'unknown operator %DURATON%: did you mean %DURATION%?'],
    ['%REQ%', '%REQ% needs the name of a field: write %REQ(USER-AGENT)%'],
    ['%DURATION(x)%', '%DURATION(x)%: this operator takes nothing in brackets, write %DURATION%'],
    ['100% sure', 'the % at "% sure" begins no %OPERATOR%: write %% for the character itself'],
    ['%TRAILER(X-SUM)%', "%TRAILER(X-SUM)%: of the response's trailers only GRPC-STATUS, GRPC-MESSAGE can be logged"],
    ['%GRPC_STATUS(LOUD)%', '%GRPC_STATUS(LOUD)%: its forms are CAMEL_STRING, SNAKE_STRING, NUMBER'],
    [
      '%RESP(SERVER)%',
      "%RESP(SERVER)%: of the response's head only :STATUS, X-ENVOY-UPSTREAM-SERVICE-TIME, GRPC-STATUS, GRPC-MESSAGE can be logged",
    ],
  ])('%s', (template, problem) => {
    expect(readLogTemplate(template).problems).toEqual([problem])
    expect(() => line({ template })).toThrow(problem)
  })
})

describe('conditions', () => {
  const condition = { errors: false, slowerThanMs: 0, statuses: [], samplePercent: 100 } as const
  const failed = Object.assign(finishedExchange(), { failure: failures.connectRefused, status: 503 })
  const missing = Object.assign(finishedExchange(), { status: 404 })
  const slow = Object.assign(finishedExchange(), { completedAt: 3_000 })
  const logged = (exchange: ReturnType<typeof finishedExchange>, ...only: AccessLogSpec['only']) =>
    line({ only, template: 'x' }, exchange) !== ''

  test('a request is logged that meets one of several', () => {
    const only = [
      { ...condition, errors: true },
      { ...condition, slowerThanMs: 1_000 },
    ]
    expect([failed, missing, slow, finishedExchange()].map(each => logged(each, ...only))).toEqual([
      true,
      false,
      true,
      false,
    ])
  })

  test('all of one condition must be true', () => {
    const only = { ...condition, statuses: [[400, 499] as const], slowerThanMs: 10 }
    expect(logged(missing, only)).toBe(true)
    expect(logged(slow, only)).toBe(false)
    expect(logged(missing, { ...only, slowerThanMs: 1_000 })).toBe(false)
    expect(
      logged(missing, {
        ...only,
        statuses: [
          [200, 299],
          [500, 599],
        ],
      }),
    ).toBe(false)
  })

  test('a share is the same requests on every hop, about so many, and every failed one', () => {
    const only = { ...condition, samplePercent: 10 }
    const ids = Array.from({ length: 5_000 }, (_, i) => `id-${i}`)
    const chosen = () => ids.filter(requestId => logged(Object.assign(finishedExchange(), { requestId }), only))
    const first = chosen()
    expect(first.length).toBeGreaterThan(400)
    expect(first.length).toBeLessThan(600)
    expect(chosen()).toEqual(first)
    expect(ids.slice(0, 50).every(requestId => logged(Object.assign(failed, { requestId }), only))).toBe(true)
  })

  test('the trace id counts over the request id, which may change on the way', () => {
    const only = { ...condition, samplePercent: 50 }
    const decisions = Array.from({ length: 50 }, (_, i) => {
      const exchange = Object.assign(finishedExchange(), { requestId: `id-${i}` })
      exchange.trace.traceId = '0af7651916cd43dd8448eb211c80319c'
      return logged(exchange, only)
    })
    expect(new Set(decisions).size).toBe(1)
  })

  test('what is not logged costs no line: nothing of the request is read', () => {
    const exchange = finishedExchange()
    const format = accessLogFormatter(accessLogSpec({ mode: 'on', only: [{ ...condition, errors: true }] }), 'web')
    Object.defineProperty(exchange, 'request', {
      get: () => {
        throw new Error('read')
      },
    })
    expect(format(exchange, clock)).toBe('')
  })
})

describe('JSON of own fields', () => {
  test('an operator alone keeps its type, and is null without a value; in a text it is -', () => {
    const fields = {
      at: '%START_TIME%',
      status: '%RESPONSE_CODE%',
      'user.agent': '%REQ(USER-AGENT)%',
      line: '%REQ(:METHOD)% %REQ(USER-AGENT)% %PROTOCOL%',
      host: '%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%',
      page: '%QUERY_PARAM(page)%',
      path: '%PATH(NQ)%',
      fixed: 'a "text"',
    }
    const exchange = finishedExchange({ path: '/api/1?size=3&page=7' })
    Object.assign(exchange.endpoint!, { spec: { address: '10.0.0.7', port: 8080 } })
    expect(JSON.parse(line({ format: 'json', fields }, exchange))).toEqual({
      at: '2026-11-21T07:08:09.000Z',
      status: 200,
      'user.agent': null,
      line: 'GET - HTTP/1.1',
      host: '10.0.0.7',
      page: '7',
      path: '/api/1',
      fixed: 'a "text"',
    })
  })
})

describe('ECS', () => {
  test('the names of the Elastic Common Schema; what has no value is left out', () => {
    const exchange = finishedExchange({
      path: '/api/1?page=7',
      authority: 'orders:80',
      headers: [['User-Agent', 'curl/8']],
    })
    Object.assign(exchange.endpoint!, { spec: { address: '10.0.0.7', port: 8080 } })
    exchange.trace.traceId = '0af7651916cd43dd8448eb211c80319c'
    const written = line({ format: 'ecs' }, exchange)
    expect(written).toMatch(/^\{[^\n]*\}\n$/)
    expect(JSON.parse(written)).toEqual({
      '@timestamp': '2026-11-21T07:08:09.000Z',
      'log.level': 'info',
      message: 'GET /api/1?page=7 200',
      'ecs.version': '8.11.0',
      'event.kind': 'event',
      'event.dataset': 'outrigger.access',
      'event.outcome': 'success',
      'event.duration': 45_600_000,
      'service.name': 'web',
      'trace.id': '0af7651916cd43dd8448eb211c80319c',
      'http.request.id': 'id-1',
      'http.request.method': 'GET',
      'http.request.body.bytes': 12,
      'http.response.status_code': 200,
      'http.response.body.bytes': 345,
      'http.version': '1.1',
      'url.domain': 'orders',
      'url.path': '/api/1',
      'url.query': 'page=7',
      'user_agent.original': 'curl/8',
      'network.transport': 'tcp',
      'network.protocol': 'http',
      'source.address': '10.0.0.1',
      'source.ip': '10.0.0.1',
      'source.port': 51234,
      'destination.address': '10.0.0.7',
      'destination.port': 8080,
      'outrigger.direction': 'outbound',
      'outrigger.service': 'orders',
      'outrigger.route': '/api/*',
      'outrigger.cluster': 'orders/v2',
      'outrigger.attempts': 1,
      'outrigger.upstream_service_time_ms': 37,
    })
  })

  test('a failure says what and why', () => {
    const exchange = Object.assign(finishedExchange(), {
      failure: failures.connectRefused,
      status: 503,
      endpoint: null,
    })
    expect(JSON.parse(line({ format: 'ecs' }, exchange))).toMatchObject({
      'log.level': 'error',
      message: 'GET /api/1 503 UF connect-refused',
      'event.outcome': 'failure',
      'error.type': 'connect-refused',
      'outrigger.flags': 'UF',
    })
  })
})
