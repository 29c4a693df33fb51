import type { Http2Connection } from '../h2/connection.ts'
import { Budget } from '../h2/guards.ts'

/**
 * Bodies need not be cut smaller than they are read. DATA is passed on as it comes, so a long frame costs no memory.
 */
export const HOP_FRAME = 256 * 1024
/** Ten times what one caller may: it stands for many. */
const RESETS = { burst: 10_000, perSecond: 1000 }

/**
 * For a connection that carries the HTTP/1.1 of many others: callers that go away are no attack of the sidecar before
 * us.
 */
export function makeRoom(connection: Http2Connection): void {
  connection.standsForMany = true
  connection.resets = new Budget(RESETS, () => connection.clock.now())
}
