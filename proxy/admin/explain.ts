import type { ExplainAnswer, FlightView } from '../core/channel.ts'
import { printable } from '../core/printable.ts'
import { type Ask, askAll } from './ask.ts'
import { askedOf } from './flights.ts'
import { errorAnswer, escapeHtml, htmlAnswer, htmlPage, jsonAnswer, type Page, type PageRequest, textAnswer } from './page.ts'

const example = '/explain?method=GET&url=http://orders/api/1&header=x-user:7'

export function explainPage(ask: Ask): Page {
  return {
    path: '/explain',
    methods: ['GET'],
    shows: 'where a request would go and why, or why it would fail; nothing is sent',
    parameters: '?url=http://orders/api/1  &method=GET  &header=x-user:7  &listener=127.0.0.1:15001',
    async answer(request) {
      const { query, format } = request
      // Whoever comes by a link from the start page has nothing to ask yet.
      if (format === 'html' && !query.has('url')) return htmlAnswer(htmlPage('explain', form(query)))
      const question = questionOf(request)
      if (typeof question === 'string') return errorAnswer(request, 400, `${question}, for example ${example}`)
      const asked = await askAll<ExplainAnswer>(ask, question, request)
      if ('status' in asked) return asked
      // Any thread runs the same code on the same snapshot; loads and ejections are those that this one sees.
      const { thread, answer } = asked.answers[0]!
      if (answer.error !== '' || answer.record === null) return errorAnswer(request, 400, answer.error || 'there is nothing to explain')
      if (format === 'text') return textAnswer(explainText(answer, answer.record))
      if (format === 'html') return htmlAnswer(htmlPage('explain', `${form(query)}<pre>${escapeHtml(explainText(answer, answer.record))}</pre>`))
      return jsonAnswer({ thread, ...answer })
    },
  }
}

function questionOf({ query }: PageRequest) {
  const url = query.get('url')
  if (url === null || url === '') return 'say which request: give its url'
  const headers: (readonly [string, string])[] = []
  for (const text of query.getAll('header')) {
    if (text === '') continue
    const colon = text.indexOf(':')
    if (colon < 1) return `header=${text} has no name: write header=name:value`
    headers.push([text.slice(0, colon).trim(), text.slice(colon + 1).trim()])
  }
  return { what: 'explain', method: (query.get('method') || 'GET').toUpperCase(), url, headers, listener: query.get('listener') } as const
}

/** The question as a form, filled in with what was asked. */
function form(query: URLSearchParams): string {
  const field = (name: string, hint: string, size: number) =>
    `<label>${name} <input name="${name}" size="${size}" placeholder="${escapeHtml(hint)}" value="${escapeHtml(query.get(name) ?? '')}"></label> `
  return `<form>${field('method', 'GET', 6)}${field('url', 'http://orders/api/1', 36)}${field('header', 'name:value', 20)}<button>explain</button></form>\n`
}

/** The stages in the order the request would pass them, and what comes of it. */
export function explainText({ steps }: ExplainAnswer, record: FlightView): string {
  const width = Math.max(0, ...steps.map(({ stage }) => stage.length))
  const lines = [askedOf(record), '│']
  for (const { stage, text } of steps) {
    const [first, ...more] = text.split('\n')
    lines.push(`├─ ${stage.padEnd(width)}  ${first}`, ...more.map(each => `│  ${' '.repeat(width)}  ${each}`))
  }
  const [first, ...more] = outcome(record)
  lines.push('│', `└─ ${first}`, ...more.map(each => `   ${each}`))
  return `${lines.map(printable).join('\n')}\n`
}

function outcome({ protocol, failure, status, flag, reason, detail, remedy, attempts, destination }: FlightView): string[] {
  if (failure === '') return [`would be sent to ${attempts.at(-1)?.endpoint ?? '?'} (${destination})`]
  const what = protocol === 'tcp' ? 'closed by the proxy' : `answered by the proxy: ${status}`
  return [`would be ${what} ${flag}, ${reason}`, ...(detail === '' ? [] : [`detail:     ${detail}`]), `what to do: ${remedy}`]
}
