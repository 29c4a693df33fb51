import type { ExplainAnswer, Question } from '../core/channel.ts'
import { type Ask, askAll } from './ask.ts'
import { explainText } from './explain-text.ts'
import { errorAnswer, htmlAnswer, jsonAnswer, textAnswer } from './page.ts'
import type { Page, PageAnswer, PageRequest } from './page-types.ts'

const example = '/explain?method=GET&url=http://orders/api/1&header=x-user:7'

export function explainPage(ask: Ask): Page {
  return {
    path: '/explain',
    methods: ['GET'],
    shows: 'where a request would go and why, or why it would fail; nothing is sent',
    parameters:
      '?url=http://orders/api/1  &method=GET  &header=x-user:7  &listener=127.0.0.1:15001  &protocol=h2  &to=10.0.0.7:8080',
    answer: request => (request.format === 'html' ? answerBrowser(ask, request) : answerProgram(ask, request)),
  }
}

async function answerProgram(ask: Ask, request: PageRequest): Promise<PageAnswer> {
  const question = questionOf(request)
  if (typeof question === 'string') return errorAnswer(request, 400, `${question}, for example ${example}`)
  const asked = await askAll<ExplainAnswer>(ask, question, request)
  if ('status' in asked) return asked
  // Any thread runs the same code on the same snapshot; loads and ejections are those of this thread.
  const { thread, answer } = asked.answers[0]!
  if (answer.error !== '' || answer.record === null)
    return errorAnswer(request, 400, answer.error || 'there is nothing to explain')
  return request.format === 'text' ? textAnswer(explainText(answer, answer.record)) : jsonAnswer({ thread, ...answer })
}

/** The same below a form, filled in with the query, also when the query was wrong. */
async function answerBrowser(ask: Ask, request: PageRequest): Promise<PageAnswer> {
  const { query } = request
  const show = (answer: ExplainAnswer | null, error: string, status: number) =>
    htmlAnswer(
      'explain',
      request,
      async () => (await import('./html/explain.ts')).explainHtml(query, answer, error),
      status,
    )
  // A visitor who follows a link has not asked anything yet.
  if (!query.has('url')) return show(null, '', 200)
  const question = questionOf(request)
  if (typeof question === 'string') return show(null, question, 400)
  const asked = await askAll<ExplainAnswer>(ask, question, { ...request, format: 'text' })
  if ('status' in asked) return show(null, String(asked.body), asked.status)
  const { answer } = asked.answers[0]!
  return show(answer, answer.error, answer.error === '' ? 200 : 400)
}

type Asked = Extract<Question, { what: 'explain' }>

function questionOf({ query }: PageRequest): Asked | string {
  const url = query.get('url')
  if (url === null || url === '') return 'say which request: give its url'
  const headers: (readonly [string, string])[] = []
  for (const text of query.getAll('header')) {
    if (text === '') continue
    const colon = text.indexOf(':')
    if (colon < 1) return `header=${text} has no name: write header=name:value`
    headers.push([text.slice(0, colon).trim(), text.slice(colon + 1).trim()])
  }
  const protocol = query.get('protocol') || null
  if (protocol !== null && protocol !== 'h2' && protocol !== 'http/1.1')
    return `protocol=${protocol} is neither h2 nor http/1.1: leave it out for what is usual`
  const to = query.get('to') || null
  return {
    what: 'explain',
    ...(protocol === null ? {} : { protocol }),
    ...(to === null ? {} : { to }),
    method: (query.get('method') || 'GET').toUpperCase(),
    url,
    headers,
    listener: query.get('listener') || null,
  }
}
