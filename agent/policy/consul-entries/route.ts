import { isEditable } from '../../../mesh-config/edited-heads.ts'
import type { Edits, HttpMatch, RouterDestination, ValueMatch } from './entries.ts'
import { goMs, timeText } from './entries.ts'

/** Parts of a route of our policy, made from those of a service-router. */

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined }
export type Warn = (field: string, why: string) => void

/** Null: every request. */
export function matchOf(match: HttpMatch | null | undefined, warn: Warn): Json | null {
  if (!match) return null
  const { PathExact, PathPrefix, PathRegex, CaseInsensitive, Header, QueryParam, Methods } = match
  const path = PathExact
    ? { exact: PathExact }
    : PathPrefix
      ? { prefix: PathPrefix }
      : PathRegex
        ? { regex: PathRegex }
        : null
  if (CaseInsensitive && PathRegex)
    warn('Match.HTTP.CaseInsensitive', 'it has no effect on PathRegex, as in Envoy: write (?i) in the expression')
  const ignoreCase = CaseInsensitive && path !== null && !PathRegex ? { ignoreCase: true } : {}
  const all = {
    ...(path === null ? {} : { path: { ...path, ...ignoreCase } }),
    ...(Methods?.length ? { methods: Methods } : {}),
    ...(Header?.length ? { headers: valuesOf(Header) } : {}),
    ...(QueryParam?.length ? { query: valuesOf(QueryParam) } : {}),
  }
  return Object.keys(all).length === 0 ? null : all
}

/** Several tests of one name are a list. */
function valuesOf(matches: readonly ValueMatch[]): Json {
  const byName = new Map<string, Json[]>()
  for (const match of matches) {
    const name = match.Name
    const form = formOf(match)
    if (form !== null) byName.set(name, [...(byName.get(name) ?? []), form])
  }
  return Object.fromEntries([...byName].map(([name, all]) => [name, all.length === 1 ? all[0]! : all]))
}

/** Null: it says none, which Consul leaves out. */
function formOf({ Present, Exact, Regex, Prefix, Suffix, Invert }: ValueMatch): Json | null {
  const form = Exact
    ? { exact: Exact }
    : Regex
      ? { regex: Regex }
      : Prefix
        ? { prefix: Prefix }
        : Suffix
          ? { suffix: Suffix }
          : Present
            ? { present: true }
            : null
  if (form === null) return null
  return Invert ? { ...form, invert: true } : form
}

export interface DestinationParts {
  readonly rewrite?: string
  readonly timeouts?: Json
  readonly retries?: Json
  readonly headers?: Json
}

/** What a destination says besides where it is. */
export function destinationParts(destination: RouterDestination | null | undefined, warn: Warn): DestinationParts {
  if (!destination) return {}
  const { PrefixRewrite, RequestHeaders, ResponseHeaders } = destination
  const request = goMs(destination.RequestTimeout)
  const idle = goMs(destination.IdleTimeout)
  const timeouts = {
    ...(request === null ? {} : { request: timeText(request) }),
    ...(idle === null ? {} : { idle: timeText(idle) }),
  }
  const retries = retriesOf(destination, warn)
  const headers = headersOf(RequestHeaders, ResponseHeaders, warn, 'Destination.')
  return {
    ...(PrefixRewrite ? { rewrite: PrefixRewrite } : {}),
    ...(Object.keys(timeouts).length === 0 ? {} : { timeouts }),
    ...(retries === null ? {} : { retries }),
    ...(headers === null ? {} : { headers }),
  }
}

/** What Envoy means by each word; ours are finer. */
const ON: Readonly<Record<string, readonly string[]>> = {
  '5xx': ['5xx', 'connect-failure', 'refused-stream', 'reset-before-response', 'per-try-timeout'],
  'gateway-error': ['gateway-error', 'connect-failure', 'refused-stream', 'reset-before-response', 'per-try-timeout'],
  reset: ['reset-before-response', 'connect-failure', 'refused-stream', 'per-try-timeout'],
  'connect-failure': ['connect-failure'],
  'envoy-ratelimited': ['envoy-ratelimited'],
  'refused-stream': ['refused-stream'],
  cancelled: ['cancelled'],
  'deadline-exceeded': ['deadline-exceeded'],
  internal: ['internal'],
  'resource-exhausted': ['resource-exhausted'],
  unavailable: ['unavailable'],
}

const MOST_ATTEMPTS = 10

function retriesOf(destination: RouterDestination, warn: Warn): Json | null {
  const { NumRetries = 0, RetryOnConnectFailure = false, RetryOnStatusCodes, RetryOn } = destination
  const asked = [...(RetryOn ?? []), ...(RetryOnConnectFailure ? ['connect-failure'] : [])]
  const isAsked = asked.length > 0 || (RetryOnStatusCodes?.length ?? 0) > 0
  if (!isAsked && NumRetries === 0) return null
  const on = [...new Set(asked.flatMap(word => ON[word] ?? []))]
  const outside = (RetryOnStatusCodes ?? []).filter(status => status < 400 || status > 599)
  if (outside.length > 0)
    warn('Destination.RetryOnStatusCodes', `only answers from 400 to 599 are tried again, not ${outside.join(', ')}`)
  const listed = (RetryOnStatusCodes ?? []).filter(status => status >= 400 && status <= 599)
  const statuses = [...new Set([...listed, ...(asked.includes('retriable-4xx') ? [409] : [])])]
  // Envoy makes one more try where only conditions are given.
  const attempts = 1 + Math.max(1, NumRetries)
  if (attempts > MOST_ATTEMPTS)
    warn('Destination.NumRetries', `${NumRetries} is more than ${MOST_ATTEMPTS - 1}: so many are made`)
  return {
    ...(isAsked ? { on } : {}),
    ...(statuses.length === 0 ? {} : { statuses }),
    attempts: Math.min(attempts, MOST_ATTEMPTS),
  }
}

export function headersOf(
  request: Edits | null | undefined,
  response: Edits | null | undefined,
  warn: Warn,
  within = '',
): Json | null {
  const sides = {
    ...editsOf(request, field => warn.bind(null, `${within}RequestHeaders.${field}`), 'request'),
    ...editsOf(response, field => warn.bind(null, `${within}ResponseHeaders.${field}`), 'response'),
  }
  return Object.keys(sides).length === 0 ? null : sides
}

function editsOf(
  edits: Edits | null | undefined,
  warn: (field: string) => (why: string) => void,
  side: string,
): object {
  if (!edits) return {}
  const allowed = (field: string, name: string) => {
    if (isEditable(name) && !name.startsWith(':')) return true
    warn(field)(`${name} says where a message ends or belongs to one connection, so no route edits it`)
    return false
  }
  const pairs = (field: string, values: Readonly<Record<string, string>> | null | undefined) =>
    Object.fromEntries(
      Object.entries(values ?? {}).flatMap(([name, value]) => {
        if (!allowed(field, name)) return []
        if (/%[A-Z_]/.test(value.replaceAll('%%', ''))) {
          warn(field)(`${name} has a variable of Envoy, which is not supported: the header is not added`)
          return []
        }
        return [[name, value.replaceAll('%%', '%')]]
      }),
    )
  const [set, add] = [pairs('Set', edits.Set), pairs('Add', edits.Add)]
  const remove = (edits.Remove ?? []).filter(name => allowed('Remove', name))
  const all = {
    ...(Object.keys(set).length === 0 ? {} : { set }),
    ...(Object.keys(add).length === 0 ? {} : { add }),
    ...(remove.length === 0 ? {} : { remove }),
  }
  return Object.keys(all).length === 0 ? {} : { [side]: all }
}
