import { eitherAnswer, errorAnswer } from './page.ts'
import type { Page } from './page-types.ts'

/** `left`: inbound is drained. `draining`: this process drains all, or has handed over. */
export type LeaveOutcome = 'leaving' | 'left' | 'draining'

const MOST_SECONDS = 3_600

/** `begin` resolves when inbound is drained, and after `waitMs` at the latest. */
export function leavePage(
  begin: (waitMs: number) => Promise<LeaveOutcome>,
  plan: () => { readonly delayMs: number; readonly timeoutMs: number },
): Page {
  return {
    path: '/leave',
    methods: ['POST'],
    shows: 'not ready, deregister, drain inbound; outbound serves on until the process is ended',
    parameters: '?wait=<seconds until inbound must be drained>',
    async answer(request) {
      const text = request.query.get('wait')
      const seconds = Number(text)
      if (text !== null && !(seconds > 0 && seconds <= MOST_SECONDS))
        return errorAnswer(request, 400, `wait: a number of seconds up to ${MOST_SECONDS}, not ${text}`)
      const outcome = await begin(seconds * 1000)
      const { delayMs, timeoutMs } = plan()
      return eitherAnswer(
        { ...request, format: request.format ?? 'text' },
        'leave',
        { outcome, delayMs, timeoutMs },
        () => `${words(outcome, delayMs / 1000, timeoutMs / 1000)}\n`,
        outcome === 'left' ? 200 : 202,
      )
    },
  }
}

function words(outcome: LeaveOutcome, delay: number, timeout: number): string {
  if (outcome === 'left') return 'left: inbound is drained, outbound serves until the process is ended'
  if (outcome === 'draining') return 'draining already: the process ends when what still runs has ended'
  return `leaving: not ready now, new inbound connections are refused after ${delay} s, what still runs of them is cut after another ${timeout} s, outbound serves until the process is ended`
}
