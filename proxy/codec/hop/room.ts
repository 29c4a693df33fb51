import type { Http2Connection } from '../h2/connection.ts'
import { Budget } from '../h2/guards.ts'

const MIB = 1024 * 1024
/** A window of 256 KiB for each of 256 streams: less than the HTTP/1.1 connections they stand for might hold. */
const CONNECTION_WINDOW = 64 * MIB
/** The same for what waits to be sent, with room to spare: more than this is no reader that is slow, but many that stand still. */
const HELD_BYTES = 128 * MIB
/** Bodies need not be cut smaller than they are read. DATA is passed on as it comes, so a long frame costs no memory. */
export const HOP_FRAME = 256 * 1024
/** Ten times what one caller may: it stands for many. */
const RESETS = { burst: 10_000, perSecond: 1000 }

/**
 * For a connection that carries the HTTP/1.1 of many others, none of which may stop the rest: readers that stand still must not fill the window of all, and callers that
 * go away are no attack of the sidecar before us.
 */
export function makeRoom(connection: Http2Connection): void {
  connection.flow.widen(CONNECTION_WINDOW)
  connection.maxHeldBytes = Math.max(connection.maxHeldBytes, HELD_BYTES)
  connection.resets = new Budget(RESETS, () => connection.clock.now())
  connection.creditConnection()
}
