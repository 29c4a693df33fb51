import type { AttemptView, FlightView } from '../../core/channel.ts'
import { grpcStatusText } from '../../core/grpc.ts'
import type { FlightFilter } from '../flights-select.ts'
import { comparedText, headText, traceText } from '../flights-text.ts'
import { duration, plural } from '../text.ts'
import { box, type Column, keepRefresh, nothing, type Tone, table, tag } from './frame.ts'
import { href, html, type Markup, prose } from './markup.ts'

/** The default number of flights. */
const MOST_ROWS = 100

/** Newest first: readers begin at the top. */
export function flightsHtml(
  flights: readonly FlightView[],
  filter: FlightFilter,
  query: URLSearchParams,
  missing: string,
): Markup {
  const newest = flights.toReversed()
  const shown = filter.limit === null ? newest.slice(0, MOST_ROWS) : newest
  const left = newest.length - shown.length
  return html`<h1>Flights <small>${plural(flights.length, 'request')}, newest first</small></h1>
${missing !== '' && box('warn', missing)}
${form(filter, query)}
${shown.length === 0 ? nothing(noneText(filter)) : table(columns, shown, moreOf)}
${left > 0 && html`<p class="dim">and ${left} older: <a href="${href('/flights', { ...asQuery(filter), limit: String(flights.length) })}">show all</a></p>`}`
}

function noneText({ failedOnly, service, endpoint, id }: FlightFilter): string {
  const chosen = service !== null || endpoint !== null || id !== null
  if (chosen) return 'No request that is still kept is like that.'
  return failedOnly ? 'No request has failed.' : 'No requests yet.'
}

function asQuery({ failedOnly, service, endpoint, id }: FlightFilter): Record<string, string | null> {
  return { failed: failedOnly ? 'true' : null, service, endpoint, id }
}

function form({ failedOnly, service, endpoint, id, limit }: FlightFilter, query: URLSearchParams): Markup {
  return html`<form action="/flights">${keepRefresh(query)}
<label>service <input name="service" size="14" value="${service ?? ''}"></label>
<label>endpoint <input name="endpoint" size="20" placeholder="10.0.0.1:8080" value="${endpoint ?? ''}"></label>
<label>request or trace id <input name="id" size="20" value="${id ?? ''}"></label>
<label>limit <input name="limit" size="5" inputmode="numeric" value="${limit === null ? '' : String(limit)}"></label>
<label class="check"><input type="checkbox" name="failed" value="true"${failedOnly && html` checked`}> failed only</label>
<button>show</button> <a href="/flights">all</a></form>`
}

const columns: readonly Column<FlightView>[] = [
  { title: 'time', narrow: 'inline', cell: ({ at }) => html`<span class="mono nb">${at.slice(11, 23)}</span>` },
  { title: 'status', narrow: 'inline', cell: statusTag },
  { title: 'took', isNumber: true, narrow: 'inline', cell: ({ durationMs }) => duration(durationMs) },
  {
    title: 'request',
    narrow: 'bare',
    cell: flight =>
      html`<span class="mono">${askedFor(flight)}</span><small>${flight.requestId}</small>${traceText(flight) !== '' && html`<small>${traceText(flight)}</small>`}`,
  },
  { title: 'to', cell: destination },
  { title: '', narrow: 'inline', cell: flight => html`<a class="nb" href="${explainLink(flight)}">explain</a>` },
]

export function statusTag({
  status,
  flag,
  failure,
  grpcStatus,
}: Pick<FlightView, 'status' | 'flag' | 'failure' | 'grpcStatus'>): Markup {
  const tone: Tone = failure !== '' || status >= 500 ? 'bad' : status >= 400 || (grpcStatus ?? 0) > 0 ? 'warn' : 'ok'
  const words = [
    status === 0 ? '' : String(status),
    flag === '-' ? '' : flag,
    grpcStatus === null ? '' : `grpc ${grpcStatusText(grpcStatus)}`,
  ]
  return tag(words.filter(word => word !== '').join(' ') || '-', tone)
}

/** The request; the target of a CONNECT is its authority. */
export function askedFor({ protocol, method, authority, path }: FlightView): string {
  return protocol === 'tcp' ? `TCP ${authority}`.trimEnd() : `${method} ${authority}${path === authority ? '' : path}`
}

function destination({ destination: to, service, attempts }: FlightView): Markup {
  const endpoint = attempts.at(-1)?.endpoint ?? ''
  if (service === '') return html`-`
  const link = html`<a href="${href('/endpoints', { service })}">${to || service}</a>`
  return endpoint === ''
    ? link
    : html`${link}<small class="mono nb"><a href="${href('/flights', { endpoint })}">${endpoint}</a></small>`
}

function explainLink({ protocol, method, authority, path, service, listener, grpcStatus }: FlightView): string {
  // What is usual goes without saying.
  const spoken = protocol === 'h2' || (grpcStatus !== null && protocol === 'http/1.1') ? protocol : null
  const url =
    protocol === 'tcp'
      ? authority === ''
        ? `tcp://${service}`
        : `tls://${authority}`
      : authority === ''
        ? path
        : `http://${authority}${path === authority ? '' : path}`
  return href('/explain', {
    method: protocol === 'tcp' ? null : method,
    url,
    listener: listener || null,
    protocol: spoken,
  })
}

/** Details that do not fit into a row: several attempts, the failure and its remedy. */
function moreOf(flight: FlightView): Markup | null {
  const { attempts, failure, reason, detail, remedy, grpcMessage, notes } = flight
  const several = attempts.length > 1 || attempts.some(attempt => attempt.failure !== '')
  if (!several && failure === '' && grpcMessage === '' && notes.length === 0) return null
  return html`${failure !== '' && html`<p><b>${failure}</b>: ${reason}${detail !== '' && html` <span class="dim">(${detail})</span>`}</p><p class="dim">${prose(remedy)}</p>`}
${notes.map(note => html`<p class="dim">${note}</p>`)}
${failure === '' && grpcMessage !== '' && html`<p>${grpcMessage}</p>`}${several && attemptList(attempts)}`
}

export function attemptList(attempts: readonly AttemptView[]): Markup {
  return html`<ol>${attempts.map(attemptItem)}</ol>`
}

function attemptItem(attempt: AttemptView): Markup {
  const { endpoint, detail, tookMs, reusedConnection, hop, hedge, retry } = attempt
  const where =
    endpoint === '' ? 'no endpoint' : html`<a class="mono" href="${href('/flights', { endpoint })}">${endpoint}</a>`
  const how = `${hedge ? ', beside the one before' : ''}${hop ? ', over an h2 hop' : ''}${reusedConnection ? ', on a kept connection' : ''}${comparedText(attempt)}`
  return html`<li>${where} ${statusTag(attempt)}${attempt.failure !== '' && html` ${attempt.failure}`}${detail !== '' && html` <span class="dim">(${detail})</span>`} after ${duration(tookMs)}<span class="dim">${headText(attempt)}${how}</span>${retry !== '' && html`<br><span class="dim">another attempt? ${retry}</span>`}</li>`
}
