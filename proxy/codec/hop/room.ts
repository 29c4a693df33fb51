import type { Rate } from '../h2/options.ts'

/**
 * Bodies need not be cut smaller than they are read. DATA is passed on as it comes, so a long frame costs no memory.
 */
export const HOP_FRAME = 256 * 1024

/**
 * Resets of a connection that carries the HTTP/1.1 of many others: ten times what one caller may, because callers that
 * go away are no attack of the sidecar before us.
 */
export const HOP_RESETS: Rate = { burst: 10_000, perSecond: 1000 }
