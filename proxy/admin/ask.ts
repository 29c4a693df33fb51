import type { Answer, Question } from '../core/channel.ts'
import { errorAnswer } from './page.ts'
import type { PageAnswer, PageRequest } from './page-types.ts'

/** Asks every data thread; `answer` is null where one did not answer in time. */
export type Ask = (
  question: Question,
) => Promise<readonly { readonly thread: number; readonly answer: Answer | null }[]>

export interface Answers<Kind extends Answer> {
  readonly answers: readonly { readonly thread: number; readonly answer: Kind }[]
  /** Data threads that did not answer in time. */
  readonly silent: readonly number[]
}

/** The answers, or a page that says why there are none. */
export async function askAll<Kind extends Answer>(
  ask: Ask,
  question: Question,
  request: PageRequest,
): Promise<Answers<Kind> | PageAnswer> {
  const replies = await ask(question)
  if (replies.length === 0) return errorAnswer(request, 503, 'no data thread runs right now: /ready?verbose says why')
  const answers = replies.flatMap(({ thread, answer }) => (answer === null ? [] : [{ thread, answer: answer as Kind }]))
  const silent = replies.filter(({ answer }) => answer === null).map(({ thread }) => thread)
  if (answers.length > 0) return { answers, silent }
  return errorAnswer(
    request,
    504,
    `${silentThreads(silent)}. A thread that is busy for so long serves no requests either: see outrigger_data_thread_lag_seconds in /metrics`,
  )
}

export function silentThreads(silent: readonly number[]): string {
  return `data thread${silent.length === 1 ? '' : 's'} ${silent.join(', ')} did not answer in time`
}

/** A note for the end of a page: which threads are missing. */
export function missingNote(silent: readonly number[]): string {
  return silent.length === 0 ? '' : `\n(without ${silentThreads(silent)})\n`
}
