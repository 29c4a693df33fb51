import { writeSync } from 'node:fs'

/**
 * Whole text or none of it: a log that nobody reads, or whose pipe is full, must not end or hold up the proxy. Cheaper
 * by 1 MB than the streams of `process`.
 */
export function writeTo(fd: 1 | 2, text: string): void {
  try {
    writeSync(fd, text)
  } catch {
    // Closed (EPIPE) or full (EAGAIN): nowhere is left to say so.
  }
}
