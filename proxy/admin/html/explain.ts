import type { ExplainAnswer, FlightView } from '../../core/channel.ts'
import { explainedOutcome } from '../explain-text.ts'
import { askedFor, attemptList } from './flights.ts'
import { box, table } from './frame.ts'
import { href, html, lines, type Markup, prose } from './markup.ts'

/** Empty: HTTP/2 where it is gRPC, else HTTP/1.1. */
const protocols = ['', 'http/1.1', 'h2']
const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS', 'CONNECT']

/** The query as a form, filled in; below it the answer, or what is wrong with the query. */
export function explainHtml(query: URLSearchParams, answer: ExplainAnswer | null, error: string): Markup {
  const record = answer?.record ?? null
  return html`<h1>Explain <small>where a request would go, and why; nothing is sent</small></h1>
${form(query)}
${error !== '' && box('bad', error)}
${answer !== null && record !== null && explained(answer, record)}`
}

function form(query: URLSearchParams): Markup {
  const method = (query.get('method') || 'GET').toUpperCase()
  const known = methods.includes(method) ? methods : [method, ...methods]
  const headers = [...query.getAll('header').filter(header => header !== ''), '']
  return html`<form action="/explain">
<label>method <select name="method">${known.map(each => html`<option${each === method && html` selected`}>${each}</option>`)}</select></label>
<label class="wide">URL <input name="url" placeholder="http://orders/api/1" value="${query.get('url') ?? ''}"></label>
${headers.map(header => html`<label class="wide">header <input name="header" placeholder="name: value" value="${header}"></label>`)}
<label class="wide">listener <input name="listener" placeholder="the one it would come to" value="${query.get('listener') ?? ''}"></label>
<label class="wide">redirected on its way to <input name="to" placeholder="10.0.0.7:8080" value="${query.get('to') ?? ''}"></label>
<label>protocol <select name="protocol">${protocols.map(each => html`<option value="${each}"${each === (query.get('protocol') ?? '') && html` selected`}>${each || 'as usual'}</option>`)}</select></label>
<button>explain</button></form>`
}

function explained({ steps }: ExplainAnswer, record: FlightView): Markup {
  const { failure, service, attempts, detail, remedy } = record
  const [outcome] = explainedOutcome(record)
  return html`<h2 class="mono">${askedFor(record)}</h2>
${box(failure === '' ? 'ok' : 'bad', html`<b>${outcome!}</b>${failure !== '' && html`${detail !== '' && html`<p>${detail}</p>`}<p>${prose(remedy)}</p>`}`)}
${table(
  [
    { title: 'stage', narrow: 'inline', cell: ({ stage }) => html`<b class="nb">${stage}</b>` },
    { title: 'what was decided', narrow: 'bare', cell: ({ text }) => html`<pre>${lines(text)}</pre>` },
  ],
  steps,
)}
${attempts.length > 1 && attemptList(attempts)}
${service !== '' && html`<p>${service}: <a href="${href('/endpoints', { service })}">endpoints</a>, <a href="${href('/flights', { service })}">flights</a></p>`}`
}
