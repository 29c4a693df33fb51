import { failures } from '../../core/failure.ts'
import type { Account, Holding } from '../../core/ledger.ts'
import { CANCEL } from './frame.ts'
import type { Guard } from './options.ts'
import type { SendLine } from './send-line.ts'
import type { Http2Stream } from './stream.ts'
import { OPEN } from './tunnel-state.ts'

/** What of a connection the list is made from. */
export interface HoldingsHost {
  readonly streams: ReadonlyMap<number, Http2Stream>
  /** Its streams are those of many callers: each of them answers for what it holds, and not the connection. */
  readonly standsForMany: boolean
  /** Everything that runs on it, and itself. */
  shed(detail: string): void
}

/**
 * What an HTTP/2 connection could give up. Where its streams are those of many callers, each answers for itself. A
 * caller of its own answers for all it holds: as long as that is more than others hold, the largest of its streams goes
 * first.
 */
export function listHoldings(host: HoldingsHost, account: Account, list: Holding[]): void {
  const streams = [...host.streams.values()].filter(({ waiting }) => waiting !== 0)
  if (host.standsForMany) {
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
  if (bytes > 0) list.push({ bytes, since: account.since, cut: detail => host.shed(detail) })
}

function shedding(stream: Http2Stream): Holding['cut'] {
  const { id } = stream
  return detail => {
    if (!stream.closed && stream.id === id) shed(stream, detail)
  }
}

/**
 * The bytes of a stream are wanted back: it is given up, and its receiver told. A caller that was not answered yet still
 * gets an answer.
 */
export function shed(stream: Http2Stream, detail: string): void {
  const { connection, receiver, isHeard } = stream
  if (connection.side.isClient) {
    if (connection.isOpen) connection.out().reset(stream.id, CANCEL)
    return stream.fail(failures.outOfRoom, detail, true)
  }
  stream.silence()
  if (isHeard) receiver?.reset(failures.outOfRoom, detail)
  if (stream.closed || (isHeard && stream.tunnel < OPEN)) return
  connection.out().reset(stream.id, CANCEL)
  connection.finish(stream, true)
}

/** What of a connection is needed to shorten its line. */
export interface LineOwner {
  readonly streams: ReadonlyMap<number, Http2Stream>
  readonly line: SendLine
  readonly options: { readonly maxHeldBytes: number }
  tripped(guard: Guard, detail: string): void
}

/** More waits for windows than may: the streams with the most pay for it, and the others go on. */
export function shedLongest(owner: LineOwner): void {
  const { line, options, streams } = owner
  while (line.isTooLong) {
    let most: Http2Stream | null = null
    for (const stream of streams.values())
      if (stream.pendingBytes > (most === null ? 0 : most.pendingBytes)) most = stream
    if (most === null) return
    const detail = `${most.pendingBytes} bytes wait for its window, and more than ${options.maxHeldBytes} for those of the connection`
    owner.tripped('held-bytes', detail)
    shed(most, detail)
  }
}
