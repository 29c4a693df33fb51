import type { FlightView } from '../core/channel.ts'

/** Selects flights. */
export interface FlightFilter {
  readonly failedOnly: boolean
  readonly service: string | null
  /** An endpoint of one of the attempts. */
  readonly endpoint: string | null
  /** The request id, or the trace id. */
  readonly id: string | null
  /** Only the last ones; null: not given. */
  readonly limit: number | null
}

/** Parses the query, or says what is wrong with it. A form sends its empty fields too; they count as not given. */
export function readFilter(query: URLSearchParams): FlightFilter | string {
  const limit = query.get('limit') || null
  if (limit !== null && !/^[1-9]\d{0,6}$/.test(limit))
    return `limit=${limit} is not a number of flights: write limit=20`
  return {
    failedOnly: query.has('failed') && query.get('failed') !== 'false',
    service: query.get('service') || null,
    endpoint: query.get('endpoint') || null,
    id: query.get('id') || null,
    limit: limit === null ? null : Number(limit),
  }
}

export function selectFlights(
  flights: readonly FlightView[],
  { service, endpoint, id, limit }: FlightFilter,
): readonly FlightView[] {
  const chosen = flights.filter(
    flight =>
      (service === null || flight.service === service) &&
      (endpoint === null || flight.attempts.some(attempt => attempt.endpoint === endpoint)) &&
      (id === null || flight.requestId === id || flight.traceId === id),
  )
  return limit === null ? chosen : chosen.slice(-limit)
}
