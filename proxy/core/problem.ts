import type { Failure } from './failure.ts'

/** The body of a local reply: RFC 9457 problem details, with the response flag and what to do about it. */
export function problemBody(failure: Failure, detail: string, requestId: string): Buffer {
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
  return Buffer.from(`${JSON.stringify(problem)}\n`)
}
