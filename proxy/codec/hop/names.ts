import type { WrittenNames } from '../../core/message.ts'

/**
 * The names of a head's fields as HTTP/1.1 had them, in one field: `Host,User-Agent,Accept`. HTTP/2 keeps the order of
 * fields but has their names in lower case, and has no place for Host and Transfer-Encoding. The value is the same from
 * request to request, so on a connection it is one byte after the first time (RFC 7541).
 */
export const NAMES = 'outrigger-names'
/** The reason phrase, where it is not the usual one of its status. */
export const REASON = 'outrigger-reason'
/** In an answer that a sidecar made itself, because its application has given none: the failure. */
export const FAILURE = 'outrigger-failure'
/**
 * The same over HTTP/1.1: an option of Connection, with the failure behind it. Options end at the next hop, and nobody
 * passes those of its application on (RFC 9110 section 7.6.1). It is believed of a sidecar only.
 */
export const FAILURE_OPTION = 'outrigger-failure.'
/** In a request to another sidecar: the service of the calling one, for metrics. It proves nothing. */
export const SOURCE = 'outrigger-source'
/**
 * What a sidecar names in Connection of an answer: HTTP/2 with prior knowledge is spoken on this very port (RFC 9110
 * section 7.6.1: options need no field).
 */
export const OFFER = 'outrigger-h2'
/**
 * A SETTINGS parameter both sides send: the names are understood, and so many data threads share the port; of who
 * connects, 1. Of the range for experiments (RFC 7540 section 11.3); others ignore it (RFC 9113 section 6.5.2).
 */
export const CARRIES_HTTP1 = 0xf0e1

/**
 * A SETTINGS parameter of the same range. Of a listener: it says `outrigger-failure`, and takes it out of what its
 * application says. Of a caller: it understands it.
 */
export const TELLS_FAILURE = 0xf0e2

/**
 * What was split before: the same few texts come again and again. Longer ones are split each time, so no caller fills
 * the memory.
 */
const split = new Map<string, WrittenNames>()
const MAX_KEPT = 256
const MAX_KEPT_LENGTH = 2048

export function namesOf(text: string): WrittenNames {
  const known = split.get(text)
  if (known !== undefined) return known
  const written = text.split(',')
  const lower = written.map(name => name.toLowerCase())
  const names = { written, lower, hasCoding: lower.includes('transfer-encoding'), hasTe: lower.includes('te') }
  if (text.length > MAX_KEPT_LENGTH) return names
  if (split.size >= MAX_KEPT) split.clear()
  split.set(text, names)
  return names
}

/**
 * Do the names say nothing but how the fields that came are written? All of them, in their order, and beside them
 * Transfer-Encoding, and the Host of a request; so a caller that makes names up can change no field, hide none and add
 * none.
 */
export function fits({ lower }: WrittenNames, pairs: readonly string[], count: number, isRequest: boolean): boolean {
  let at = 0
  let hosts = 0
  let codings = 0
  for (let i = 0; i < lower.length; i++) {
    const name = lower[i]!
    if (at < count && pairs[at] === name) at += 2
    else if (name === 'transfer-encoding') codings++
    else if (isRequest && name === 'host') hosts++
    else return false
  }
  // Nothing that HTTP/1.1 allowed has both: they would frame the body in two ways.
  if (codings > 1 || (codings === 1 && lower.includes('content-length'))) return false
  return at === count && hosts === (isRequest ? 1 : 0)
}
