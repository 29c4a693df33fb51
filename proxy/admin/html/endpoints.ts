import type { EndpointView } from '../../core/channel.ts'
import type { SourceStatus } from '../../core/source.ts'
import { filterNames, isUsable, type Selection, sortNames } from '../endpoints-select.ts'
import {
  type Choice,
  checksText,
  choose,
  evidenceOf,
  type ServiceWithSources,
  share,
  sourceText,
  stateText,
  tally,
  weightText,
} from '../endpoints-text.ts'
import { count, duration, plural } from '../text.ts'
import { box, type Column, keepRefresh, nothing, option, type Tone, table, tag } from './frame.ts'
import { href, html, type Markup } from './markup.ts'

export function endpointsHtml(
  services: readonly { readonly service: ServiceWithSources; readonly chosen: readonly EndpointView[] }[],
  selection: Selection,
  query: URLSearchParams,
  missing: string,
): Markup {
  const none = selection.service === null ? 'No services are configured.' : `No service is called ${selection.service}.`
  return html`<h1>Endpoints</h1>
${missing !== '' && box('warn', missing)}
${form(selection, query)}
${services.length === 0 ? nothing(none) : services.map(({ service, chosen }) => serviceSection(service, choose(service, chosen, selection)))}`
}

function form({ service, zone, only, sort, limit }: Selection, query: URLSearchParams): Markup {
  return html`<form action="/endpoints">${keepRefresh(query)}
<label>service <input name="service" size="14" value="${service ?? ''}"></label>
<label>zone <input name="zone" size="8" value="${zone ?? ''}"></label>
<label>only <select name="only">${option('', 'all', only)}${filterNames.map(name => option(name, name, only))}</select></label>
<label>sort by <select name="sort">${option('', 'as they are', sort)}${sortNames.map(name => option(name, name, sort))}${sort?.startsWith('-') === true && option(sort, sort, sort)}</select></label>
<label>limit <input name="limit" size="5" value="${limit === null ? '' : limit === Number.POSITIVE_INFINITY ? 'all' : String(limit)}"></label>
<button>show</button> <a href="/endpoints">all</a></form>`
}

function serviceSection(service: ServiceWithSources, { rows, left, total, tallied }: Choice): Markup {
  const { name, policy, active, endpoints, notes, sources, checks } = service
  const usable = endpoints.filter(isUsable).length
  const tone: Tone = usable === 0 ? 'bad' : usable < endpoints.length ? 'warn' : 'ok'
  // Callers cannot name the application behind an inbound listener.
  const explain = name.includes(':')
    ? null
    : html`, <a href="${href('/explain', { url: `http://${name}/` })}">explain</a>`
  return html`<section><h2><a href="${href('/endpoints', { service: name })}">${name}</a> ${tag(`${usable} of ${plural(endpoints.length, 'endpoint')} usable`, tone)}
<small>${policy}, ${count(active)} active: <a href="${href('/flights', { service: name })}">flights</a>${explain}</small></h2>
${sources.map(source => html`<p>${sourceTag(source)} ${sourceText(source)}</p>`)}
${checks !== null && html`<p>${tag('checked', checks.unhealthy > 0 ? 'bad' : checks.unchecked > 0 ? 'warn' : 'ok')} ${checksText(checks)}</p>`}
${notes.map(note => html`<p class="dim">${note}</p>`)}
${tallied && html`<p class="dim">${tally(endpoints)}</p>`}
${endpoints.length === 0 ? nothing('None: requests are answered with 503 UH.') : rows.length === 0 ? nothing('None of them is like that.') : table(columnsFor(rows, total), rows)}
${left > 0 && html`<p class="dim">and ${count(left)} more: <a href="${href('/endpoints', { service: name, limit: 'all' })}">show all</a></p>`}</section>`
}

function sourceTag({ state }: SourceStatus): Markup {
  return tag(state, state === 'fresh' ? 'ok' : state === 'stale' ? 'bad' : 'warn')
}

function columnsFor(rows: readonly EndpointView[], total: number): readonly Column<EndpointView>[] {
  const some = (has: (endpoint: EndpointView) => boolean) => rows.some(has)
  return [
    {
      title: 'endpoint',
      cell: ({ address, metadata }) =>
        html`<b class="mono nb"><a href="${href('/flights', { endpoint: address })}">${address}</a></b><small>${metadataText(metadata)}</small>`,
    },
    { title: 'state', cell: stateCell },
    ...(some(({ zone }) => zone !== '') ? [{ title: 'zone', cell: ({ zone }: EndpointView) => zone || '-' }] : []),
    ...(some(({ priority }) => priority !== 0) ? [number('priority', ({ priority }) => String(priority))] : []),
    number('weight', weightText),
    ...(some(({ protocol }) => protocol !== 'HTTP/1.1')
      ? [{ title: 'protocol', cell: ({ protocol }: EndpointView) => protocol }]
      : []),
    number('active', ({ active }) => count(active)),
    number('pending', ({ pending }) => count(pending)),
    number('connections', ({ connections, idle }) =>
      connections === 0 ? '0' : `${count(connections)} (${count(idle)} idle)`,
    ),
    number('requests', ({ requests }) => `${count(requests)}${total === 0 ? '' : ` (${share(requests, total)})`}`),
    { title: 'failed', isNumber: true, cell: ({ failures }) => (failures === 0 ? '0' : tag(count(failures), 'warn')) },
    number('p50', ({ p50Ms, requests }) => (requests === 0 ? '-' : duration(p50Ms))),
    number('p99', ({ p99Ms, requests }) => (requests === 0 ? '-' : duration(p99Ms))),
  ]
}

function number(title: string, cell: (endpoint: EndpointView) => string): Column<EndpointView> {
  return { title, isNumber: true, cell }
}

/** Health and ejection in a word, with the reason below. */
function stateCell(endpoint: EndpointView): Markup {
  const { state, health, warming } = endpoint
  const tone: Tone =
    state === 'ejected' || health === 'critical' || health === 'failing'
      ? 'bad'
      : health !== 'passing' || state === 'probing' || warming
        ? 'warn'
        : 'ok'
  const word = health !== 'passing' ? health : state === 'admitting' ? (warming ? 'warming up' : 'admitting') : state
  const why = stateText(endpoint)
  const failures = evidenceOf(endpoint)
  return html`${tag(word, tone)}${why !== word && why !== state && html`<small>${why}</small>`}${failures !== '' && html`<small>last failures: ${failures}</small>`}`
}

function metadataText(metadata: EndpointView['metadata']): string {
  return Object.entries(metadata)
    .map(([key, value]) => `${key}=${value}`)
    .join(' ')
}
