/** What a PING of ours is for: the first of its eight bytes, which come back as they went. */
export const KEEP_ALIVE_PING = 1
export const WINDOW_PING = 2
export const DRAIN_PING = 3

export const pingBytes: readonly Buffer[] = [0, KEEP_ALIVE_PING, WINDOW_PING, DRAIN_PING].map(kind =>
  Buffer.from([kind, 0, 0, 0, 0, 0, 0, 0]),
)
