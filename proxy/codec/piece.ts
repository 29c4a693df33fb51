import { NO_BYTES } from './bytes.ts'

/** Each may hold the buffer it is a piece of. */
const KEPT = 32
/** Pieces of larger buffers are not kept: those are let go and collected. */
const MOST_BYTES = 64 * 1024

const buffers: Buffer[] = Array(KEPT).fill(NO_BYTES)
const pieces: Buffer[] = Array(KEPT).fill(NO_BYTES)
const froms = new Int32Array(KEPT)
const ends = new Int32Array(KEPT)

/**
 * As `buffer.subarray(from, end)`, and the same object as before where it was asked for before: heads and small bodies
 * lie in a few buffers that are used again and again, at places that repeat. A view costs more than what most of them
 * are looked at for.
 */
export function piece(buffer: Buffer, from: number, end: number): Buffer {
  const slot = (from + end * 3) & (KEPT - 1)
  if (buffers[slot] === buffer && ends[slot] === end && froms[slot] === from) return pieces[slot]!
  const made = buffer.subarray(from, end)
  if (buffer.length > MOST_BYTES) return made
  buffers[slot] = buffer
  pieces[slot] = made
  froms[slot] = from
  ends[slot] = end
  return made
}
