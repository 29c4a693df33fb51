import { option } from './frame.ts'
import { html, type Markup } from './markup.ts'

export function logLevelHtml(level: string, levels: readonly string[]): Markup {
  return html`<h1>Log level <small>now ${level}</small></h1>
<form action="/log-level" method="post"><label>level <select name="level">${levels.map(each => option(each, each, level))}</select></label>
<button>set</button></form>
<p class="dim">Until the next start; --log-level or OUTRIGGER_LOG_LEVEL say what it begins with.</p>`
}
