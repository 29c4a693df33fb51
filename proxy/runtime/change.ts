/**
 * A part of a snapshot made ready: what runs has not been touched. Either `commit`, which cannot fail, or `abandon`,
 * which leaves no trace.
 */
export interface Change {
  commit(): void
  abandon(): void | Promise<void>
}
