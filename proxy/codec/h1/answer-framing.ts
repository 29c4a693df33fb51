import type { ResponseHead } from '../../core/message.ts'
import type { Http1Head } from './head.ts'
import { CHUNKED_BODY, CLOSE_BODY, lengthOf, NO_BODY } from './serialize.ts'

/** How the body of an answer to `request` is framed on this connection. `end`: the answer has none. */
export function framingOfAnswer(request: Http1Head, head: ResponseHead, end: boolean): number {
  if (request.method === 'HEAD' || head.status === 204 || head.status === 304) return NO_BODY
  if (end) return 0
  const length = lengthOf(head)
  // HTTP/1.0 has no chunks: such a body ends with the connection.
  return length === CHUNKED_BODY && request.minorVersion === 0 ? CLOSE_BODY : length
}
