import { eitherAnswer, errorAnswer } from './page.ts'
import type { Page, PageAnswer } from './page-types.ts'

/** What came of it. */
export type UpgradeOutcome =
  | { readonly ok: true; readonly pid: number; readonly version: string; readonly readyMs: number }
  | { readonly ok: false; readonly refused: boolean; readonly reason: string; readonly details: readonly string[] }

const MOST_SECONDS = 3_600

/** `begin` resolves when another process serves, or there will be none. Without `patienceMs`: as by default. */
export function upgradePage(begin: (patienceMs?: number) => Promise<UpgradeOutcome>): Page {
  return {
    path: '/upgrade',
    methods: ['POST'],
    shows: 'as SIGUSR2: starts the program that is installed now, which takes over without losing a request',
    parameters: '?timeout=<seconds until it must be ready>',
    async answer(request): Promise<PageAnswer> {
      const text = request.query.get('timeout')
      const seconds = Number(text)
      if (text !== null && !(seconds > 0 && seconds <= MOST_SECONDS))
        return errorAnswer(request, 400, `timeout: a number of seconds up to ${MOST_SECONDS}, not ${text}`)
      const outcome = await begin(text === null ? undefined : seconds * 1000)
      const readable = { ...request, format: request.format ?? ('text' as const) }
      return eitherAnswer(readable, 'upgrade', outcome, () => words(outcome), statusOf(outcome))
    },
  }
}

function statusOf(outcome: UpgradeOutcome): number {
  if (outcome.ok) return 200
  return outcome.refused ? 503 : 500
}

function words(outcome: UpgradeOutcome): string {
  if (outcome.ok)
    return `version ${outcome.version} serves as process ${outcome.pid}, ready ${outcome.readyMs} ms after its start; the one before finishes what it had begun\n`
  if (outcome.refused) return `no upgrade: ${outcome.reason}\n`
  const details = outcome.details.map(line => `  ${line}\n`).join('')
  return `the new process did not take over, the running one goes on as before: ${outcome.reason}\n${details}`
}
