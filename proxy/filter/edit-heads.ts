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
  )
  const response = editing(
    ofDestinations.map(edits => edits?.response),
    headers?.response,
  )
  if (rewrite === undefined && request === null && response === null) return null
  return {
    name: NAME,
    ...(rewrite === undefined && request === null
      ? {}
      : {
          onDestination(exchange: Exchange) {
            if (rewrite !== undefined) rewritePath(exchange, match.path, rewrite)
            if (request !== null) request(exchange, exchange.request.headers, 'request')
          },
        }),
    ...(response === null
      ? {}
      : {
          onResponse(exchange: Exchange, { headers: ofResponse }: { readonly headers: Headers }) {
            response(exchange, ofResponse, 'response')
          },
        }),
  }
}

type Edit = (exchange: Exchange, headers: Headers, of: 'request' | 'response') => void

/** Those of the destination first, as in Envoy: what the route sets counts. Null: there are none. */
function editing(
  ofDestinations: readonly (HeadEditsSpec | undefined)[],
  ofRoute: HeadEditsSpec | undefined,
): Edit | null {
  const isEmpty = (edits: HeadEditsSpec | undefined) =>
    edits === undefined || edits.remove.length + edits.add.length + edits.set.length === 0
  if ([...ofDestinations, ofRoute].every(isEmpty)) return null
  const words = [...ofDestinations, ofRoute].map(edits => (edits === undefined || isEmpty(edits) ? '' : inWords(edits)))
  return (exchange, headers, of) => {
    const at = exchange.cluster === null ? -1 : exchange.decision.chosen
    const drawn = at < 0 ? undefined : ofDestinations[at]
    if (drawn !== undefined && words[at] !== '') {
      apply(drawn, headers)
      exchange.decision.note(NAME, `${of} of this destination: ${words[at]}`)
    }
    const own = words[ofDestinations.length]
    if (ofRoute !== undefined && own !== '') {
      apply(ofRoute, headers)
      exchange.decision.note(NAME, `${of}: ${own}`)
    }
  }
}

function apply({ remove, add, set }: HeadEditsSpec, headers: Headers): void {
  for (let i = 0; i < remove.length; i++) headers.delete(remove[i]!)
  for (let i = 0; i < add.length; i++) headers.add(add[i]![0], add[i]![1])
  for (let i = 0; i < set.length; i++) headers.set(set[i]![0], set[i]![1])
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
