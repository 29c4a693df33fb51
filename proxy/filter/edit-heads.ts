import type { HeadEditsSpec, MatchSpec, RouteSpec } from '../../mesh-config/snapshot.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Filter } from '../core/filter.ts'
import type { Headers } from '../core/message.ts'

const NAME = 'edit-heads'
/** The path before a rewrite, under the name that Envoy has for it. */
const ORIGINAL_PATH = 'x-envoy-original-path'

/** Rewrites paths and edits heads as a route and its destinations say; null: they say nothing. */
export function editHeads({ match, rewrite, headers, to }: RouteSpec): Filter | null {
  const ofDestinations = to.map(destination => destination.headers)
  const request = editing(
    ofDestinations.map(edits => edits?.request),
    headers?.request,
    'request',
  )
  const response = editing(
    ofDestinations.map(edits => edits?.response),
    headers?.response,
    'response',
  )
  if (rewrite === undefined && request === null && response === null) return null
  return {
    name: NAME,
    ...(rewrite === undefined && request === null
      ? {}
      : {
          onDestination(exchange: Exchange) {
            if (rewrite !== undefined) rewritePath(exchange, match.path, rewrite)
            if (request !== null) request(exchange, exchange.request.headers)
          },
        }),
    ...(response === null
      ? {}
      : {
          onResponse(exchange: Exchange, { headers: ofResponse }: { readonly headers: Headers }) {
            response(exchange, ofResponse)
          },
        }),
  }
}

type Edit = (exchange: Exchange, headers: Headers) => void

/** Edits, and what the decision record says of them. */
interface Made {
  readonly edits: HeadEditsSpec
  readonly note: string
}

/** Those of the destination first, as in Envoy: what the route sets counts. Null: there are none. */
function editing(
  ofDestinations: readonly (HeadEditsSpec | undefined)[],
  ofRoute: HeadEditsSpec | undefined,
  of: 'request' | 'response',
): Edit | null {
  const isEmpty = (edits: HeadEditsSpec | undefined) =>
    edits === undefined || edits.remove.length + edits.add.length + edits.set.length === 0
  if ([...ofDestinations, ofRoute].every(isEmpty)) return null
  const made = (edits: HeadEditsSpec | undefined, whose: string): Made | null =>
    edits === undefined || isEmpty(edits) ? null : { edits, note: `${whose}: ${inWords(edits)}` }
  const ofDrawn = ofDestinations.map(edits => made(edits, `${of} of this destination`))
  const own = made(ofRoute, of)
  return (exchange, headers) => {
    const at = exchange.cluster === null ? -1 : exchange.decision.chosen
    const drawn = at < 0 ? null : (ofDrawn[at] ?? null)
    if (drawn !== null) apply(drawn, exchange, headers)
    if (own !== null) apply(own, exchange, headers)
  }
}

function apply({ edits: { remove, add, set }, note }: Made, { decision }: Exchange, headers: Headers): void {
  for (let i = 0; i < remove.length; i++) headers.delete(remove[i]!)
  for (let i = 0; i < add.length; i++) headers.add(add[i]![0], add[i]![1])
  for (let i = 0; i < set.length; i++) headers.set(set[i]![0], set[i]![1])
  decision.note(NAME, note)
}

/** Names only: a value may be a secret. */
function inWords({ remove, add, set }: HeadEditsSpec): string {
  return [
    ...remove.map(name => `without ${name}`),
    ...add.map(([name]) => `${name} added`),
    ...set.map(([name]) => `${name} set`),
  ].join(', ')
}

function rewritePath(exchange: Exchange, { kind, value }: MatchSpec['path'], rewrite: string): void {
  const { request, decision } = exchange
  const { path } = request
  const mark = path.indexOf('?')
  const end = mark < 0 ? path.length : mark
  let from = kind === 'exact' ? end : Math.min(value.length, end)
  // `/` in place of `/api`: `/api/x` becomes `/x`, as `/apix` does.
  if (rewrite === '/' && path.charCodeAt(from) === 0x2f) from++
  const rewritten = rewrite + path.slice(from)
  if (rewritten === path) return
  request.headers.set(ORIGINAL_PATH, path)
  request.path = rewritten
  // Without the query, which may hold secrets.
  decision.note(NAME, `path ${path.slice(0, end)} -> ${rewrite}${path.slice(from, end)}`)
}
