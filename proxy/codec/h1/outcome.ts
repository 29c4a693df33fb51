import { type Failure, failures } from '../../core/failure.ts'

/** What a parse came to: MORE, DONE, or what is wrong. */
export interface Outcome {
  readonly failure: Failure | null
  /** The rule that was broken, for `detail`. */
  readonly detail: string
}

export const MORE: Outcome = Object.freeze({ failure: null, detail: 'more' })
export const DONE: Outcome = Object.freeze({ failure: null, detail: 'done' })

function bad(detail: string, failure: Failure = failures.badRequest): Outcome {
  return Object.freeze({ failure, detail })
}

/** One frozen outcome a rule, made once: refusing an attack costs no allocation. */
export const broken = {
  bareCr: bad('CR without LF (RFC 9112 section 2.2)'),
  bareLf: bad('LF without CR (RFC 9112 section 2.2)'),
  method: bad('a byte that no method may have (RFC 9112 section 3.1)'),
  target: bad('a byte that no request target may have (RFC 9112 section 3.2)'),
  targetForm: bad('the request target is in none of the four forms (RFC 9112 section 3.2)'),
  version: bad('no HTTP version after the request target (RFC 9112 section 2.3)'),
  notHttp: bad('the first line has neither a request target nor a version of HTTP'),
  otherVersion: bad('the version is not HTTP/1.0 or HTTP/1.1', failures.versionNotSupported),
  statusLine: bad('malformed status line (RFC 9112 section 4)'),
  nameSpace: bad('white space before the colon of a field (RFC 9112 section 5.1)'),
  nameEmpty: bad('a field without a name (RFC 9112 section 5)'),
  name: bad('a byte that no field name may have (RFC 9110 section 5.1)'),
  fold: bad('a folded field line (RFC 9112 section 5.2)'),
  value: bad('a control byte in a field value (RFC 9110 section 5.5)'),
  lengthTwice: bad('more than one Content-Length (RFC 9112 section 6.3)'),
  length: bad('Content-Length is not a plain number (RFC 9110 section 8.6)'),
  coding: bad('Transfer-Encoding is not a single "chunked" (RFC 9112 section 6.1)'),
  codingInOld: bad('Transfer-Encoding in HTTP/1.0 (RFC 9112 section 6.1)'),
  both: bad('both Content-Length and Transfer-Encoding (RFC 9112 section 6.3)'),
  hostMissing: bad('no Host field (RFC 9112 section 3.2)'),
  hostTwice: bad('more than one Host field (RFC 9112 section 3.2)'),
  host: bad('Host is not a host and port (RFC 9110 section 7.2)'),
  connection: bad('Connection is not a list of names (RFC 9110 section 7.6.1)'),
  upgrade: bad('Upgrade is not a list of protocols (RFC 9110 section 7.8)'),
  upgradeBody: bad('a WebSocket or CONNECT asked for with a body (RFC 6455 section 4.1, RFC 9110 section 9.3.6)'),
  upgradeMethod: bad('a WebSocket asked for by another method than GET (RFC 6455 section 4.1)'),
  emptyLines: bad('too many empty lines before the request'),
  expectation: bad('an expectation other than 100-continue', failures.expectationFailed),
  fields: bad('too many fields', failures.headTooLarge),
  head: bad('too many bytes in the head', failures.headTooLarge),
  targetLong: bad('the request target is too long', failures.uriTooLong),
}
