import { Turns } from '../core/turn.ts'

/**
 * The turns of this thread. Immediates run after the poll phase of libuv's loop: when everything that was there to be
 * read has been.
 */
export const systemTurns = new Turns(run => {
  setImmediate(run)
})
