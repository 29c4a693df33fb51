import type { Account, Holding } from '../../core/ledger.ts'
import type { Http2Connection } from './connection.ts'
import { BY_US } from './side.ts'
import type { Http2Stream } from './stream.ts'

/**
 * What an HTTP/2 connection could give up. Where its streams are those of many callers, each answers for itself. A
 * caller of its own answers for all it holds: as long as that is more than others hold, the largest of its streams goes
 * first.
 */
export function listHoldings(connection: Http2Connection, account: Account, list: Holding[]): void {
  const streams = [...connection.streams.values()].filter(({ waiting }) => waiting !== 0)
  if (connection.standsForMany) {
    for (const stream of streams)
      list.push({ bytes: stream.waiting, since: stream.waitingSince, cut: shedding(stream) })
    return
  }
  streams.sort((a, b) => b.waiting - a.waiting)
  let { bytes } = account
  for (const stream of streams) {
    list.push({ bytes, since: account.since, cut: shedding(stream) })
    bytes -= stream.waiting
  }
  // What the caller has not taken of what was sent, and what exchanges keep.
  if (bytes > 0) list.push({ bytes, since: account.since, cut: detail => cut(connection, detail) })
}

function shedding(stream: Http2Stream): Holding['cut'] {
  const { id } = stream
  return detail => {
    if (!stream.closed && stream.id === id) stream.shed(detail)
  }
}

function cut(connection: Http2Connection, detail: string): void {
  for (const stream of [...connection.streams.values()]) stream.shed(detail)
  connection.destroy(BY_US, detail)
}
