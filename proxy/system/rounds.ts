import { bracketRounds } from '../core/turn.ts'

/** Immediates run after the poll phase of libuv's loop: after everything that was ready has been read. */
export function roundsOfEventLoop(): void {
  bracketRounds(run => setImmediate(run))
}
