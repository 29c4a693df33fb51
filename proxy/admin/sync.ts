import { printable } from '../core/printable.ts'
import { eitherAnswer } from './page.ts'
import type { Page } from './page-types.ts'
import { connectionText, serviceNotes, stateOf } from './sync-words.ts'
import { columns, plural } from './text.ts'
import type { SyncView } from './views.ts'

export function syncPage(view: () => SyncView): Page {
  return {
    path: '/sync',
    methods: ['GET'],
    shows: 'the agent of this host, and which version of which policy each service has from it',
    answer(request) {
      const now = view()
      const content = async () => (await import('./html/sync.ts')).syncHtml(now)
      return eitherAnswer(request, 'sync', now, () => syncText(now), 200, content)
    },
  }
}

function syncText(view: SyncView): string {
  const { services, saving } = view
  const lines = [printable(connectionText(view))]
  if (saving !== '') lines.push(printable(`policies cannot be saved for a start without the agent: ${saving}`))
  if (services.length > 0) {
    const rows = services.map(each => [each.service, each.version || '-', each.from, stateOf(each)])
    const table = columns([['SERVICE', 'VERSION', 'FROM', 'STATE'], ...rows]).split('\n')
    lines.push('', `${plural(services.length, 'service')}:`, table[0]!)
    for (const [index, each] of services.entries())
      lines.push(table[index + 1]!, ...serviceNotes(each).map(note => `    ${printable(note)}`))
  }
  return `${lines.join('\n')}\n`
}
