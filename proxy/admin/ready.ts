import { printable } from '../core/printable.ts'
import { eitherAnswer, jsonAnswer, textAnswer } from './page.ts'
import type { Format, Page, PageAnswer } from './page-types.ts'
import { columns } from './text.ts'
import type { ApplicationState, Check, Readiness } from './views.ts'

export function readyPage(readiness: () => Readiness, application: ApplicationState): Page {
  return {
    path: '/ready',
    methods: ['GET'],
    shows: '200 while requests may be sent here, else 503; for readiness probes',
    parameters: '?verbose, ?application: only while the application is ready too',
    async answer(request) {
      const now = request.query.has('application') ? await withApplication(readiness, application) : readiness()
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
export function bareReadyPage(readiness: () => Readiness, application: ApplicationState): Page {
  return {
    path: '/ready',
    methods: ['GET'],
    shows: '200 while requests may be sent here, else 503',
    parameters: '?application: only while the application is ready too',
    async answer({ format, query }) {
      const { ready } = query.has('application') ? await withApplication(readiness, application) : readiness()
      return verdict(format, 'ready', ready, '')
    },
  }
}

async function withApplication(readiness: () => Readiness, application: ApplicationState): Promise<Readiness> {
  const { ready, reason } = await application()
  const sidecar = readiness()
  return sidecar.ready ? { ...sidecar, ready, reason } : sidecar
}

/** Probes of the application that come through the sidecar. `reasons`: not on a port that a network may reach. */
export function applicationPages(
  readiness: () => Readiness,
  application: ApplicationState,
  reasons: boolean,
): readonly Page[] {
  return [
    {
      path: '/app/ready',
      methods: ['GET'],
      shows: '200 while the sidecar and its application are ready, else 503; for readiness probes of the application',
      async answer({ format }) {
        const { ready, reason } = await withApplication(readiness, application)
        return verdict(format, 'ready', ready, reasons ? reason : '')
      },
    },
    {
      path: '/app/live',
      methods: ['GET'],
      shows: '200 while the application passes its check, also while the sidecar drains, else 503',
      async answer({ format }) {
        const { ready, reason } = await application()
        return verdict(format, 'live', ready, reasons ? reason : '')
      },
    },
  ]
}

function verdict(format: Format | null, word: 'ready' | 'live', holds: boolean, reason: string): PageAnswer {
  const status = holds ? 200 : 503
  if (format === 'json') return jsonAnswer({ [word]: holds, ...(reason === '' ? {} : { reason }) }, status)
  return textAnswer(holds ? `${word}\n` : `not ${word}${reason === '' ? '' : `: ${printable(reason)}`}\n`, status)
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
