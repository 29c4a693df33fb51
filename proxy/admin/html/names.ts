import { namesSummary, stateOf } from '../names-words.ts'
import type { NamesView, ServiceNameView } from '../views.ts'
import { box, nothing, table, tag } from './frame.ts'
import { html, type Markup } from './markup.ts'

type Count = NamesView['queries'][number]

export function namesHtml(view: NamesView): Markup {
  const { names, queries, waiting, timeouts } = view
  return html`<h1>Names <small>${view.listen}</small></h1>
${box(view.servers.length === 0 ? 'warn' : '', namesSummary(view))}
${
  queries.length > 0 &&
  html`${table<Count>(
    [
      { title: 'queries', cell: ({ kind }) => kind },
      { title: 'result', cell: ({ result }) => result },
      { title: 'count', cell: ({ count }) => String(count) },
    ],
    queries,
  )}<p>Waiting now: ${String(waiting)}; without an answer in time: ${String(timeouts)}.</p>`
}
${
  names.length === 0
    ? nothing('no service has a name yet')
    : table<ServiceNameView>(
        [
          { title: 'name', narrow: 'inline', cell: ({ name }) => html`<b class="nb">${name}</b>` },
          { title: 'address', cell: ({ address }) => html`<span class="mono">${address}</span>` },
          { title: 'IPv6', cell: ({ address6 }) => html`<span class="mono">${address6 || '-'}</span>` },
          { title: 'state', cell: each => tag(stateOf(each), each.inUse ? 'ok' : '') },
        ],
        names,
      )
}`
}
