import type { AttemptView, FlightView } from '../core/channel.ts'
import { grpcStatusText } from '../core/grpc.ts'
import { printable } from '../core/printable.ts'
import { count, duration } from './text.ts'

/** One line for the flight, one for each attempt where that adds information, and one for the reason of a failure. */
export function flightText(flight: FlightView): string {
  const { at, protocol, status, grpcStatus, grpcMessage, flag, bytesIn, bytesOut, destination, service, durationMs } =
    flight
  const { attempts, reason, failure, detail, notes } = flight
  const outcome =
    `${status === 0 ? '-' : status} ${flag}${grpcStatus === null ? '' : ` grpc ${grpcStatusText(grpcStatus)}`}`.padEnd(
      7,
    )
  const to = destination || service || '-'
  const last = attempts.at(-1)
  const where = last === undefined || last.endpoint === '' ? to : `${to} at ${last.endpoint}`
  const isTunnel = protocol === 'tcp'
  const ids = [isTunnel ? `${bytesIn} B in, ${bytesOut} B out` : flight.requestId, traceText(flight)]
  const rest = ids.filter(text => text !== '').join('  ')
  let text = printable(
    `${at.slice(11, 23)}  ${outcome}  ${duration(durationMs).padStart(8)}  ${askedOf(flight)}  ->  ${where}  ${rest}`.trimEnd(),
  )
  for (const note of notes) text += `\n${' '.repeat(14)}${printable(note)}`
  if (attempts.length > 1 || attempts.some(attempt => attempt.failure !== '')) {
    for (const [index, attempt] of attempts.entries())
      text += `\n${' '.repeat(14)}${index + 1}. ${printable(attemptText(attempt, isTunnel))}`
  }
  if (grpcMessage !== '' && failure === '') text += `\n${' '.repeat(14)}${printable(grpcMessage)}`
  if (failure !== '')
    text += `\n${' '.repeat(14)}${printable(`${failure}: ${reason}${detail === '' ? '' : ` (${detail})`}`)}`
  return `${text}\n`
}

/** Where it can be looked up: its spans are recorded, or it failed and somebody else's may be. */
export function traceText({ traceId, recorded, failure }: FlightView): string {
  if (traceId === '' || (recorded === '' && failure === '')) return ''
  return `trace ${traceId}`
}

/** The request in a word or two. */
export function askedOf({ protocol, method, authority, path }: FlightView): string {
  if (protocol === 'tcp') return `TCP ${authority}`.trimEnd()
  // The target of a CONNECT is its authority.
  return `${method} ${authority}${path === authority ? '' : path}`
}

export function attemptText(attempt: AttemptView, isTunnel = false): string {
  const none = isTunnel ? 'connected' : 'no answer yet'
  const outcome =
    attempt.failure === '' ? (attempt.status === 0 ? none : answered(attempt)) : `${attempt.flag} ${attempt.failure}`
  const detail = attempt.detail === '' ? '' : ` (${attempt.detail})`
  const connection =
    (attempt.hedge ? ', beside the one before' : '') +
    (attempt.hop ? ', over an h2 hop' : '') +
    (attempt.reusedConnection ? ', on a kept connection' : '')
  const retry = attempt.retry === '' ? '' : `; ${attempt.retry}`
  return `${attempt.endpoint || 'no endpoint'}  ${outcome}${detail} after ${duration(attempt.tookMs)}${headText(attempt)}${connection}${comparedText(attempt)}${retry}`
}

/** When the answer began, where that says more than its end. */
export function headText({ headAfterMs, tookMs }: AttemptView): string {
  return headAfterMs === null || duration(headAfterMs) === duration(tookMs)
    ? ''
    : `, head after ${duration(headAfterMs)}`
}

function answered({ status, grpcStatus }: AttemptView): string {
  return grpcStatus === null ? String(status) : `${status}, grpc ${grpcStatusText(grpcStatus)}`
}

export function comparedText({ compared, policy, way }: AttemptView): string {
  const by = `, by ${policy}${way.length === 0 ? '' : ` (${way.join(', ')})`}`
  if (compared === null) return policy === '' ? '' : by
  return `${by}: load ${count(compared.load)} against ${count(compared.otherLoad)} at ${compared.other}`
}
