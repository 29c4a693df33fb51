import { eitherAnswer } from './page.ts'
import type { Page } from './page-types.ts'

/** `begin` returns at once; false: the proxy drains already. */
export function drainPage(
  begin: () => boolean,
  plan: () => { readonly delayMs: number; readonly timeoutMs: number },
): Page {
  return {
    path: '/drain',
    methods: ['POST'],
    shows: 'as SIGTERM: not ready, finish what runs, then exit with 0',
    answer(request) {
      const began = begin()
      const { delayMs, timeoutMs } = plan()
      const text = `${began ? 'draining' : 'draining already'}: not ready now, new connections are refused after ${delayMs / 1000} s, what still runs is cut after another ${timeoutMs / 1000} s, then the process exits`
      return eitherAnswer(
        { ...request, format: request.format ?? 'text' },
        'drain',
        { draining: true, began, delayMs, timeoutMs },
        () => `${text}\n`,
        202,
      )
    },
  }
}
