/** What a stream is, besides a request and its answer. */
export const NO_TUNNEL = 0
/** It asks for a tunnel and is not answered: what the caller has sent already waits. */
export const SHUT = 1
/** The two directions are a tunnel's: each ends on its own. */
export const OPEN = 2
