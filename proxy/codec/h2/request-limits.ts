import { type Failure, failures } from '../../core/failure.ts'
import { type Http2Head, isContinue } from './head.ts'

export interface Excess {
  readonly failure: Failure
  readonly detail: string
}

const tooLarge: Excess = {
  failure: failures.headTooLarge,
  detail: 'more fields or bytes in the head than are taken',
}
const targetTooLong: Excess = { failure: failures.uriTooLong, detail: 'the request target is too long' }
const unmet: Excess = { failure: failures.expectationFailed, detail: 'an expectation other than 100-continue' }

/** What is more in a well-formed request than we take, each with a status of its own; null: nothing. */
export function excessOf(head: Http2Head, maxTargetBytes: number): Excess | null {
  if (head.tooLarge) return tooLarge
  if (head.path.length > maxTargetBytes) return targetTooLong
  return head.expect === '' || isContinue(head.expect) ? null : unmet
}
