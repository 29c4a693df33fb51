import { isLogLevel, type LogLevel, logLevels } from '../core/log.ts'
import { eitherAnswer, errorAnswer } from './page.ts'
import type { Page } from './page-types.ts'

export interface LevelOwner {
  level(): LogLevel
  setLevel(level: LogLevel): void
}

export function logLevelPage(log: LevelOwner): Page {
  return {
    path: '/log-level',
    methods: ['GET', 'POST'],
    shows: "the level of the proxy's own log; POST changes it until the next start",
    parameters: `?level=${logLevels.join('|')}`,
    answer(request) {
      if (request.method === 'POST') {
        const wanted = (request.query.get('level') ?? request.body.trim().replace(/^level=/, '')).toLowerCase()
        if (!isLogLevel(wanted))
          return errorAnswer(request, 400, `"${wanted}" is not a level: POST /log-level?level=${logLevels.join('|')}`)
        log.setLevel(wanted)
      }
      const content = async () => (await import('./html/log-level.ts')).logLevelHtml(log.level(), logLevels)
      const plain = { ...request, format: request.format ?? 'text' }
      return eitherAnswer(
        plain,
        'log-level',
        { level: log.level(), levels: logLevels },
        () => `${log.level()}\n`,
        200,
        content,
      )
    },
  }
}
