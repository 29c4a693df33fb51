import { writeSync } from 'node:fs'

/**
 * Writes the whole text or none: a log without a reader, or with a full pipe, must not end or block the proxy. Takes 1
 * MB less than the streams of `process`.
 */
export function writeTo(fd: 1 | 2, text: string): void {
  try {
    writeSync(fd, text)
  } catch {
    // Closed (EPIPE) or full (EAGAIN): there is nowhere to report it.
  }
}
