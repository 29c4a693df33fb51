import { connectionText, serviceNotes, stateOf } from '../sync-words.ts'
import type { SyncedService, SyncView } from '../views.ts'
import { box, nothing, type Tone, table, tag } from './frame.ts'
import { html, type Markup } from './markup.ts'

export function syncHtml(view: SyncView): Markup {
  const { state, socket, services, saving, trouble } = view
  const tone: Tone = state === 'connected' ? 'ok' : trouble !== '' ? 'warn' : ''
  return html`<h1>Agent <small>${socket}</small></h1>
${box(tone, connectionText(view))}
${saving !== '' && box('warn', `Policies cannot be saved for a start without the agent: ${saving}`)}
${
  services.length === 0
    ? nothing('no service is in use')
    : table<SyncedService>(
        [
          { title: 'service', narrow: 'inline', cell: ({ service }) => html`<b class="nb">${service}</b>` },
          { title: 'version', cell: ({ version }) => html`<span class="mono">${version || '-'}</span>` },
          { title: 'from', cell: ({ from }) => from },
          { title: 'in force since', cell: ({ inForceSince }) => inForceSince || '-' },
          { title: 'state', cell: each => tag(stateOf(each), toneOf(each)) },
        ],
        services,
        each => {
          const notes = serviceNotes(each)
          return notes.length === 0 ? null : html`<pre>${notes.join('\n')}</pre>`
        },
      )
}`
}

function toneOf({ refused, staleMs, from }: SyncedService): Tone {
  if (refused !== '') return 'bad'
  if (from === 'files') return ''
  return staleMs === 0 ? 'ok' : 'warn'
}
