import type { Check, Readiness } from '../views.ts'
import { box, table, tag } from './frame.ts'
import { html, lines, type Markup } from './markup.ts'

const tones = { ok: 'ok', warn: 'warn', fail: 'bad' } as const

export function readyHtml({ ready, reason, checks }: Readiness): Markup {
  return html`<h1>Ready</h1>
${box(ready ? 'ok' : 'bad', html`<b>${ready ? 'ready' : `not ready: ${reason}`}</b>`)}
${table<Check>(
  [
    { title: 'state', narrow: 'inline', cell: ({ state }) => tag(state, tones[state]) },
    { title: 'what', narrow: 'inline', cell: ({ name }) => html`<b class="nb">${name}</b>` },
    { title: '', narrow: 'bare', cell: ({ text }) => html`<pre>${lines(text)}</pre>` },
  ],
  checks,
)}`
}
