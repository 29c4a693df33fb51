import { printable } from '../core/printable.ts'
import { eitherAnswer, jsonAnswer, textAnswer } from './page.ts'
import type { Page } from './page-types.ts'
import { columns } from './text.ts'
import type { Check, Readiness } from './views.ts'

export function readyPage(readiness: () => Readiness): Page {
  return {
    path: '/ready',
    methods: ['GET'],
    shows: '200 while requests may be sent here, else 503; for readiness probes',
    parameters: '?verbose',
    answer(request) {
      const now = readiness()
      const { ready, reason, checks } = now
      const status = ready ? 200 : 503
      const line = ready ? 'ready\n' : `not ready: ${printable(reason)}\n`
      // More often read by people than by programs: text unless JSON is asked for.
      const format = request.format ?? 'text'
      if (!request.query.has('verbose') && format !== 'html')
        return format === 'json'
          ? eitherAnswer(request, 'ready', { ready, reason }, () => line, status)
          : textAnswer(line, status)
      const content = async () => (await import('./html/ready.ts')).readyHtml(now)
      return eitherAnswer(
        { ...request, format },
        'ready',
        { ready, reason, checks },
        () => `${line}${checksText(checks)}\n`,
        status,
        content,
      )
    },
  }
}

/** For the port that a network may reach: ready or not, without reasons. */
export function bareReadyPage(readiness: () => Pick<Readiness, 'ready'>): Page {
  return {
    path: '/ready',
    methods: ['GET'],
    shows: '200 while requests may be sent here, else 503',
    answer({ format }) {
      const { ready } = readiness()
      const status = ready ? 200 : 503
      return format === 'json' ? jsonAnswer({ ready }, status) : textAnswer(ready ? 'ready\n' : 'not ready\n', status)
    },
  }
}

function checksText(checks: readonly Check[]): string {
  return columns(
    checks.flatMap(({ name, state, text }) =>
      text.split('\n').map((line, index) => (index === 0 ? [state, name, line] : ['', '', line])),
    ),
    [],
    '  ',
  )
}

export const livePage: Page = {
  path: '/live',
  methods: ['GET'],
  shows: '200 as long as the process runs, also while it drains; for liveness probes',
  answer: ({ format }) =>
    format === 'json' ? { status: 200, type: 'application/json', body: '{ "live": true }\n' } : textAnswer('live\n'),
}
