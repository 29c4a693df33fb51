import type { Page } from '../page-types.ts'
import { table } from './frame.ts'
import { html, type Markup } from './markup.ts'

export function startHtml(about: string, pages: readonly Page[], hint: string): Markup {
  const readable = pages.filter(({ methods, path }) => methods.includes('GET') && path !== '/')
  const drains = pages.some(({ path }) => path === '/drain')
  return html`<h1>Outrigger</h1><p>${about}</p>
${table(
  [
    { title: 'page', narrow: 'inline', cell: ({ path }) => html`<b class="nb"><a href="${path}">${path}</a></b>` },
    { title: 'what it shows', narrow: 'inline', cell: ({ shows }) => shows },
    {
      title: 'parameters',
      narrow: 'inline',
      cell: ({ parameters = '' }) => parameters !== '' && html`<small class="mono">${parameters}</small>`,
    },
  ],
  readable,
)}
${drains && drain()}
<p class="dim">${hint}</p>`
}

/** Folded, and by POST: viewing the page must not drain anything. */
function drain(): Markup {
  return html`<details><summary>Drain this sidecar</summary>
<p>As SIGTERM: it says that it is not ready, finishes what runs, then ends. This cannot be taken back.</p>
<form action="/drain" method="post"><button>drain</button></form></details>`
}

export function unknownHtml(error: string, pages: readonly Page[]): Markup {
  const links = pages
    .filter(({ methods }) => methods.includes('GET'))
    .map(({ path }) => html`<li><a href="${path}">${path}</a></li>`)
  return html`<h1>404</h1><p>${error}; there are:</p><ul>${links}</ul>`
}
