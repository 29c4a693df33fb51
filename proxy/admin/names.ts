import { printable } from '../core/printable.ts'
import { namesSummary, stateOf } from './names-words.ts'
import { eitherAnswer } from './page.ts'
import type { Page } from './page-types.ts'
import { columns, plural } from './text.ts'
import type { NamesView } from './views.ts'

export function namesPage(view: () => NamesView): Page {
  return {
    path: '/dns',
    methods: ['GET'],
    shows: 'the name server: names of services with their virtual addresses, and what became of queries',
    answer(request) {
      const now = view()
      const content = async () => (await import('./html/names.ts')).namesHtml(now)
      return eitherAnswer(request, 'dns', now, () => namesText(now), 200, content)
    },
  }
}

function namesText(view: NamesView): string {
  const { names, queries, waiting, timeouts } = view
  const lines = [printable(namesSummary(view))]
  if (queries.length > 0) {
    const rows = queries.map(({ kind, result, count }) => [kind, result, String(count)])
    lines.push('', columns([['QUERIES', 'RESULT', 'COUNT'], ...rows]).trimEnd())
    lines.push(`waiting now: ${waiting}; without an answer in time: ${timeouts}`)
  }
  lines.push('', `${plural(names.length, 'name')}:`)
  if (names.length > 0) {
    const rows = names.map(each => [each.name, each.address, each.address6 || '-', stateOf(each)])
    lines.push(columns([['NAME', 'ADDRESS', 'IPV6', 'STATE'], ...rows]).trimEnd())
  }
  return `${lines.join('\n')}\n`
}
