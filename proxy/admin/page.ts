import { escapeHtml, jsonText, printable, printableLines } from '../core/printable.ts'

export { escapeHtml }

/** A page of the admin port. */
export interface Page {
  readonly path: string
  readonly methods: readonly ('GET' | 'POST')[]
  /** One line for the index: what one sees there. */
  readonly shows: string
  /** What one may add to the path. */
  readonly parameters?: string
  answer(request: PageRequest): PageAnswer | Promise<PageAnswer>
}

export type Format = 'json' | 'text' | 'html'

export interface PageRequest {
  readonly method: 'GET' | 'POST'
  readonly query: URLSearchParams
  /** Null: the caller takes anything, so the page chooses. */
  readonly format: Format | null
  readonly body: string
}

export interface PageAnswer {
  readonly status: number
  readonly type: string
  readonly body: string | AsyncIterable<string>
}

export function textAnswer(body: string, status = 200): PageAnswer {
  return { status, type: 'text/plain; charset=utf-8', body: printableLines(body) }
}

export function jsonAnswer(value: unknown, status = 200): PageAnswer {
  return { status, type: 'application/json', body: `${jsonText(value, 2)}\n` }
}

export function htmlAnswer(body: string, status = 200): PageAnswer {
  return { status, type: 'text/html; charset=utf-8', body }
}

/** The same content for programs and for people; a browser gets the readable one. `text` is only made when somebody reads it. */
export function eitherAnswer({ format }: PageRequest, title: string, value: unknown, text: () => string, status = 200): PageAnswer {
  if (format === 'text') return textAnswer(text(), status)
  if (format === 'html') return htmlAnswer(htmlPage(title, `<pre>${escapeHtml(text())}</pre>`), status)
  return jsonAnswer(value, status)
}

/** What went wrong, in the form the caller reads. */
export function errorAnswer(request: PageRequest, status: number, message: string): PageAnswer {
  return eitherAnswer(request, `${status}`, { error: message }, () => `${printable(message)}\n`, status)
}

/** What the caller would rather have: `?format=`, else the Accept header, else null. Unknown types count as no wish. */
export function formatOf(query: URLSearchParams, accept: string | undefined): Format | null {
  const asked = query.get('format')
  if (asked === 'json' || asked === 'text' || asked === 'html') return asked
  let best: Format | null = null
  let bestQuality = 0
  for (const range of (accept ?? '').split(',')) {
    const [type, ...parameters] = range.split(';').map(part => part.trim().toLowerCase())
    const format = formats[type ?? '']
    const written = parameters.find(parameter => parameter.startsWith('q='))
    const quality = written === undefined ? 1 : Number(written.slice(2)) || 0
    if (format === undefined || quality <= bestQuality) continue
    best = format
    bestQuality = quality
  }
  return best
}

const formats: Readonly<Record<string, Format | undefined>> = { 'application/json': 'json', 'text/plain': 'text', 'text/*': 'text', 'text/html': 'html' }

export function htmlPage(title: string, content: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(title)} - outrigger</title><style>
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
pre, code, td:first-child { font-family: ui-monospace, monospace; font-size: 13px }
pre { overflow-x: auto } table { border-collapse: collapse } td { padding: .25rem 1.5rem .25rem 0; vertical-align: top } small { opacity: .7 }
</style></head><body><p><a href="/">outrigger</a> / ${escapeHtml(title)}</p>
${content}
</body></html>
`
}
