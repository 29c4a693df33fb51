import type { ConfigView } from '../views.ts'
import { box, table } from './frame.ts'
import { html, type Markup, prose } from './markup.ts'

/** Every value with its source beside it. */
export function configHtml({
  version,
  inForceSince,
  files,
  warnings,
  lastErrors,
  needsRestart,
  effectiveText,
}: ConfigView): Markup {
  return html`<h1>Configuration <small>version ${version}, in force since ${inForceSince}</small></h1>
<p>from ${files.map(file => html`<span class="mono">${file}</span> `)}</p>
${lastErrors.length > 0 && box('bad', html`The files have changed since, and are refused:${lines(lastErrors)}`)}
${needsRestart.length > 0 && box('warn', html`Changed in the files, and waiting for a restart:${lines(needsRestart)}`)}
${warnings.length > 0 && box('warn', html`Warnings:${lines(warnings)}`)}
${table(
  [
    { title: 'setting', narrow: 'inline', cell: ({ setting }) => html`<pre>${setting}</pre>` },
    { title: 'from', narrow: 'inline', cell: ({ source }) => html`<span class="dim">${prose(source)}</span>` },
  ],
  effectiveText
    .split('\n')
    .filter(line => line.trim() !== '')
    .map(settingOf),
)}`
}

function lines(texts: readonly string[]): Markup {
  return html`<ul>${texts.map(text => html`<li class="mono">${text}</li>`)}</ul>`
}

function settingOf(line: string): { readonly setting: string; readonly source: string } {
  const mark = line.lastIndexOf('  # ')
  return mark < 0
    ? { setting: line, source: '' }
    : { setting: line.slice(0, mark).trimEnd(), source: line.slice(mark + 4) }
}
