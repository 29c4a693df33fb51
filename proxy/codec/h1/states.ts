/** What a connection from a caller is doing; one exchange at a time. */
export const IDLE = 0
export const READING_HEAD = 1
export const EXCHANGE = 2
/**
 * The last answer is out; what still comes is read and dropped, so that the close does not destroy the answer on its
 * way (RFC 9112 section 9.6).
 */
export const LINGERING = 3
export const CLOSED = 4

/** Pipelined bytes kept while an exchange runs; more wait in the sender. */
export const MAX_PIPELINED = 64 * 1024
