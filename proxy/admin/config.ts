import { jsonText, printable } from '../core/printable.ts'
import { htmlAnswer, textAnswer } from './page.ts'
import type { Page } from './page-types.ts'
import type { ConfigView } from './views.ts'

export function configPage(view: () => Promise<ConfigView>): Page {
  return {
    path: '/config',
    methods: ['GET'],
    shows: 'the configuration in force: every value, default or not, and where it came from',
    async answer(request) {
      const { format } = request
      const now = await view()
      if (format === 'html')
        return htmlAnswer('config', request, async () => (await import('./html/config.ts')).configHtml(now))
      const { effectiveJson, effectiveText, ...about } = now
      if (format === null || format === 'json') {
        // The large part is JSON text already.
        const head = jsonText(about, 2).slice(0, -2)
        return { status: 200, type: 'application/json', body: `${head},\n  "effective": ${effectiveJson}\n}\n` }
      }
      return textAnswer(`${aboutText(about)}\n${effectiveText}`)
    },
  }
}

function aboutText({
  version,
  inForceSince,
  files,
  warnings,
  lastErrors,
  needsRestart,
}: Omit<ConfigView, 'effectiveJson' | 'effectiveText'>): string {
  const lines = [
    `version ${version} from ${files.join(', ')}, in force since ${inForceSince}`,
    ...warnings.map(warning => `warning: ${warning}`),
  ]
  if (lastErrors.length > 0)
    lines.push('the files have changed since, and are refused:', ...lastErrors.map(error => `  ${error}`))
  lines.push(...needsRestart.map(line => `changed in the files: ${line}`))
  return `${lines.map(line => `# ${printable(line)}`).join('\n')}\n`
}
