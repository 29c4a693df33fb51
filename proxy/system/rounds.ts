import { bracketRounds } from '../core/turn.ts'

/** Immediates run after the poll phase of libuv's loop: when everything that was there to be read has been. */
export function roundsOfEventLoop(): void {
  bracketRounds(run => setImmediate(run))
}
