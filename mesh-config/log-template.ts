import { nearest } from './nearest.ts'
import { own } from './own.ts'

/** A parsed template of the access log: texts and operators. */
export type LogPart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'operator'; readonly name: LogOperator; readonly argument: string; readonly maxLength: number }

/** The operators of Envoy that have a value here; `argument`: what may stand in brackets after the name. */
const operators = {
  START_TIME: 'optional',
  EMIT_TIME: 'optional',
  REQ: 'required',
  REQ_WITHOUT_QUERY: 'required',
  PATH: 'optional',
  QUERY_PARAM: 'required',
  RESP: 'required',
  TRAILER: 'required',
  PROTOCOL: 'none',
  RESPONSE_CODE: 'none',
  RESPONSE_CODE_DETAILS: 'none',
  RESPONSE_FLAGS: 'none',
  GRPC_STATUS: 'optional',
  GRPC_STATUS_NUMBER: 'none',
  BYTES_RECEIVED: 'none',
  BYTES_SENT: 'none',
  DURATION: 'none',
  REQUEST_DURATION: 'none',
  RESPONSE_DURATION: 'none',
  RESPONSE_TX_DURATION: 'none',
  REQUESTED_SERVER_NAME: 'none',
  TRACE_ID: 'none',
  ROUTE_NAME: 'none',
  STREAM_ID: 'none',
  HOSTNAME: 'none',
  CONNECTION_TERMINATION_DETAILS: 'none',
  UPSTREAM_HOST: 'none',
  UPSTREAM_REMOTE_ADDRESS: 'none',
  UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: 'none',
  UPSTREAM_REMOTE_PORT: 'none',
  UPSTREAM_CLUSTER: 'none',
  UPSTREAM_REQUEST_ATTEMPT_COUNT: 'none',
  UPSTREAM_TRANSPORT_FAILURE_REASON: 'none',
  DOWNSTREAM_REMOTE_ADDRESS: 'none',
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: 'none',
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS: 'none',
  DOWNSTREAM_REMOTE_PORT: 'none',
  DOWNSTREAM_LOCAL_ADDRESS: 'none',
  DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT: 'none',
  DOWNSTREAM_LOCAL_PORT: 'none',
} as const satisfies Record<string, 'none' | 'optional' | 'required'>

export type LogOperator = keyof typeof operators

/** Operators of Envoy that have no value here, and what to write. */
const withoutValue: Readonly<Record<string, string>> = {
  DYNAMIC_METADATA: 'filters keep no metadata here: remove it',
  FILTER_STATE: 'filters keep no state for the log here: remove it',
  UPSTREAM_METADATA: 'metadata of endpoints is not logged: write %UPSTREAM_CLUSTER%, which has the subset',
  UPSTREAM_LOCAL_ADDRESS: 'the local address of an upstream connection is not known: write %UPSTREAM_REMOTE_ADDRESS%',
  UPSTREAM_PROTOCOL: 'it is not logged: /endpoints shows what is spoken with an endpoint',
  UPSTREAM_WIRE_BYTES_SENT: 'bytes are counted without heads: write %BYTES_RECEIVED%',
  UPSTREAM_WIRE_BYTES_RECEIVED: 'bytes are counted without heads: write %BYTES_SENT%',
  DOWNSTREAM_WIRE_BYTES_SENT: 'bytes are counted without heads: write %BYTES_SENT%',
  DOWNSTREAM_WIRE_BYTES_RECEIVED: 'bytes are counted without heads: write %BYTES_RECEIVED%',
  REQUEST_TX_DURATION: 'when the last byte went upstream is not known: write %REQUEST_DURATION%',
  DOWNSTREAM_PEER_URI_SAN: 'calls have no verified identity in this version: remove it',
}

/** The operators whose value is a number, for JSON. */
const numeric: ReadonlySet<LogOperator> = new Set([
  'RESPONSE_CODE',
  'GRPC_STATUS_NUMBER',
  'BYTES_RECEIVED',
  'BYTES_SENT',
  'DURATION',
  'REQUEST_DURATION',
  'RESPONSE_DURATION',
  'RESPONSE_TX_DURATION',
  'UPSTREAM_REQUEST_ATTEMPT_COUNT',
  'UPSTREAM_REMOTE_PORT',
  'DOWNSTREAM_REMOTE_PORT',
  'DOWNSTREAM_LOCAL_PORT',
])

/** A field of a JSON format that is one operator alone keeps its type, as in Envoy. */
export function isNumeric(name: LogOperator, argument: string): boolean {
  return numeric.has(name) || (name === 'GRPC_STATUS' && argument === 'NUMBER')
}

export const pathForms = ['WQ', 'NQ']

/** The response fields that are kept until the line is written. */
const responseFields = [':status', 'x-envoy-upstream-service-time', 'grpc-status', 'grpc-message']

/** gRPC sends these in trailers, or in the head of an answer without a body (trailers-only). */
const trailerFields = ['grpc-status', 'grpc-message']

export const grpcStatusForms = ['CAMEL_STRING', 'SNAKE_STRING', 'NUMBER']

/** The default template (`envoy:source/common/formatter`). */
export const defaultLogTemplate =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% ' +
  '%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"'

const piece = /%%|%([A-Za-z_]+)(?:\(([^)]*)\))?(?::(\d+))?%|%/g

/** `problems`: what is wrong and what to write, one sentence each. */
export function readLogTemplate(template: string): {
  readonly parts: readonly LogPart[]
  readonly problems: readonly string[]
} {
  const parts: LogPart[] = []
  const problems: string[] = []
  let text = ''
  let end = 0
  for (const match of template.matchAll(piece)) {
    text += template.slice(end, match.index)
    end = match.index + match[0].length
    const [whole, name, argument, length] = match
    if (whole === '%%') text += '%'
    else if (name === undefined)
      problems.push(
        `the % at "${template.slice(match.index, match.index + 16)}" begins no %OPERATOR%: write %% for the character itself`,
      )
    else {
      const problem = operatorProblem(name, argument)
      if (problem !== null) problems.push(problem)
      if (text !== '') parts.push({ kind: 'text', text })
      text = ''
      parts.push({
        kind: 'operator',
        name: name as LogOperator,
        argument: argument ?? '',
        maxLength: length === undefined ? Number.POSITIVE_INFINITY : Number(length),
      })
    }
  }
  text += template.slice(end)
  if (text !== '') parts.push({ kind: 'text', text })
  return { parts, problems }
}

const examples: Readonly<Record<string, string>> = {
  REQ: 'USER-AGENT',
  REQ_WITHOUT_QUERY: ':PATH',
  QUERY_PARAM: 'page',
  RESP: ':STATUS',
}

function operatorProblem(name: string, argument: string | undefined): string | null {
  const takes = own<'none' | 'optional' | 'required'>(operators, name)
  if (takes === undefined) {
    const why = own<string>(withoutValue, name)
    if (why !== undefined) return `%${name}%: ${why}`
    const meant = nearest(name, Object.keys(operators))
    return `unknown operator %${name}%: ${meant === null ? `known are ${Object.keys(operators).join(', ')}` : `did you mean %${meant}%?`}`
  }
  if (takes === 'none' && argument !== undefined)
    return `%${name}(${argument})%: this operator takes nothing in brackets, write %${name}%`
  if (takes === 'required' && (argument ?? '') === '')
    return `%${name}% needs the name of a field: write %${name}(${examples[name] ?? 'GRPC-STATUS'})%`
  if (name === 'PATH' && (argument ?? '') !== '' && !pathForms.includes(argument!))
    return `%PATH(${argument})%: its forms are WQ (with the query) and NQ (without)`
  if (name === 'GRPC_STATUS' && (argument ?? '') !== '' && !grpcStatusForms.includes(argument!))
    return `%GRPC_STATUS(${argument})%: its forms are ${grpcStatusForms.join(', ')}`
  if (name !== 'RESP' && name !== 'TRAILER') return null
  const logged = name === 'RESP' ? responseFields : trailerFields
  const unknown = argument!.split('?').filter(field => !logged.includes(field.toLowerCase()))
  if (unknown.length === 0) return null
  return `%${name}(${argument})%: of the response's ${name === 'RESP' ? 'head' : 'trailers'} only ${logged.join(', ').toUpperCase()} can be logged`
}
