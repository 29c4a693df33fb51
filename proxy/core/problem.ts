import type { Failure } from './failure.ts'
import { HeaderList } from './header-list.ts'
import type { MessageSink, ResponseHead } from './message.ts'
import { jsonText } from './printable.ts'

/** The body of a local reply: RFC 9457 problem details, with the response flag and what to do about it. */
export function problemBody(failure: Failure, detail: string, requestId: string, traceId: string): Buffer {
  const problem: Record<string, string | number> = {
    type: 'about:blank',
    title: failure.reason,
    status: failure.httpStatus,
    flag: failure.flag,
    failure: failure.failure,
  }
  if (detail !== '') problem.detail = detail
  problem.remedy = failure.remedy
  if (requestId !== '') problem.requestId = requestId
  if (traceId !== '') problem.traceId = traceId
  return Buffer.from(`${jsonText(problem)}\n`)
}

/** A whole local reply, for what was refused before there was an exchange. */
export function sendProblem(sink: MessageSink<ResponseHead>, failure: Failure, detail: string): void {
  const body = problemBody(failure, detail, '', '')
  const headers = new HeaderList(['content-type', 'application/problem+json', 'content-length', String(body.length)])
  sink.head({ status: failure.httpStatus, headers }, false)
  sink.data(body, true)
}
