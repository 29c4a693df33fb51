import { failures } from '../core/failure.ts'
import type { Filter, LocalReply } from '../core/filter.ts'
import { problemBody } from '../core/problem.ts'

const refusal: LocalReply = {
  status: failures.notImplemented.httpStatus,
  contentType: 'application/problem+json',
  body: problemBody(failures.notImplemented, '', '').toString(),
  failure: failures.notImplemented,
}

/** Refuses what asks for a tunnel, which is not spoken yet. h2c is an offer that a server may ignore (RFC 9110 section 7.8), and is ignored. */
export const tunnels: Filter = {
  name: 'tunnels',
  onRequest({ request }) {
    if (request.method === 'CONNECT') return refusal
    const upgrade = request.headers.get('upgrade')
    return upgrade === undefined || upgrade.toLowerCase() === 'h2c' ? undefined : refusal
  },
}
