import { own } from '../../mesh-config/own.ts'
import { jsonText, printable, printableLines } from '../core/printable.ts'
import type { Markup } from './html/markup.ts'
import type { Format, PageAnswer, PageRequest } from './page-types.ts'

export function textAnswer(body: string, status = 200): PageAnswer {
  return { status, type: 'text/plain; charset=utf-8', body: printableLines(body) }
}

export function jsonAnswer(value: unknown, status = 200): PageAnswer {
  return { status, type: 'application/json', body: `${jsonText(value, 2)}\n` }
}

/** For a browser. The code that makes HTML is loaded when the first browser asks: most sidecars never get one. */
export async function htmlAnswer(
  name: string,
  request: PageRequest,
  content: () => Promise<Markup>,
  status = 200,
): Promise<PageAnswer> {
  const { framed } = await import('./html/frame.ts')
  return framed(name, request, await content(), status)
}

/**
 * The same content for programs and for people. Only the requested form is made: `text` for terminals, `content` for
 * browsers (else the text).
 */
export function eitherAnswer(
  request: PageRequest,
  name: string,
  value: unknown,
  text: () => string,
  status = 200,
  content: () => Promise<Markup> = async () => (await import('./html/frame.ts')).preformatted(text()),
): PageAnswer | Promise<PageAnswer> {
  if (request.format === 'text') return textAnswer(text(), status)
  return request.format === 'html' ? htmlAnswer(name, request, content, status) : jsonAnswer(value, status)
}

/** The error, in the caller's form. */
export function errorAnswer(request: PageRequest, status: number, message: string): PageAnswer | Promise<PageAnswer> {
  const content = async () => (await import('./html/frame.ts')).failed(status, message)
  return eitherAnswer(request, String(status), { error: message }, () => `${printable(message)}\n`, status, content)
}

/** The caller's preferred form: `?format=`, else the Accept header, else null. Unknown types count as no preference. */
export function formatOf(query: URLSearchParams, accept: string | undefined): Format | null {
  const asked = query.get('format')
  if (asked === 'json' || asked === 'text' || asked === 'html') return asked
  let best: Format | null = null
  let bestQuality = 0
  for (const range of (accept ?? '').split(',')) {
    const [type, ...parameters] = range.split(';').map(part => part.trim().toLowerCase())
    const format = own(formats, type ?? '')
    const written = parameters.find(parameter => parameter.startsWith('q='))
    const quality = written === undefined ? 1 : Number(written.slice(2)) || 0
    if (format === undefined || quality <= bestQuality) continue
    best = format
    bestQuality = quality
  }
  return best
}

const formats: Readonly<Record<string, Format | undefined>> = {
  'application/json': 'json',
  'text/plain': 'text',
  'text/*': 'text',
  'text/html': 'html',
}
