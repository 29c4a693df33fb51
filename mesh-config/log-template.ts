import { nearest } from './nearest.ts'
import { own } from './own.ts'

/** A parsed template of the access log: texts and operators. */
export type LogPart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'operator'; readonly name: LogOperator; readonly argument: string; readonly maxLength: number }

/** The operators of Envoy that have a value here; `argument`: what may stand in brackets after the name. */
const operators = {
  START_TIME: 'optional',
  REQ: 'required',
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
  UPSTREAM_HOST: 'none',
  UPSTREAM_CLUSTER: 'none',
  UPSTREAM_REQUEST_ATTEMPT_COUNT: 'none',
  UPSTREAM_TRANSPORT_FAILURE_REASON: 'none',
  DOWNSTREAM_REMOTE_ADDRESS: 'none',
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: 'none',
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS: 'none',
  DOWNSTREAM_LOCAL_ADDRESS: 'none',
} as const satisfies Record<string, 'none' | 'optional' | 'required'>

export type LogOperator = keyof typeof operators

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

function operatorProblem(name: string, argument: string | undefined): string | null {
  const takes = own<'none' | 'optional' | 'required'>(operators, name)
  if (takes === undefined) {
    const meant = nearest(name, Object.keys(operators))
    return `unknown operator %${name}%: ${meant === null ? `known are ${Object.keys(operators).join(', ')}` : `did you mean %${meant}%?`}`
  }
  if (takes === 'none' && argument !== undefined)
    return `%${name}(${argument})%: this operator takes nothing in brackets, write %${name}%`
  if (takes === 'required' && (argument ?? '') === '')
    return `%${name}% needs the name of a field: write %${name}(${name === 'REQ' ? 'USER-AGENT' : name === 'RESP' ? ':STATUS' : 'GRPC-STATUS'})%`
  if (name === 'GRPC_STATUS' && (argument ?? '') !== '' && !grpcStatusForms.includes(argument!))
    return `%GRPC_STATUS(${argument})%: its forms are ${grpcStatusForms.join(', ')}`
  if (name !== 'RESP' && name !== 'TRAILER') return null
  const logged = name === 'RESP' ? responseFields : trailerFields
  const unknown = argument!.split('?').filter(field => !logged.includes(field.toLowerCase()))
  if (unknown.length === 0) return null
  return `%${name}(${argument})%: of the response's ${name === 'RESP' ? 'head' : 'trailers'} only ${logged.join(', ').toUpperCase()} can be logged`
}
