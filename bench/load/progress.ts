const startedAt = performance.now()
let transient = false

/** Says on stderr what is being done; on a terminal the line is replaced by the next. */
export function progress(what: string): void {
  const line = `[${String(Math.round((performance.now() - startedAt) / 1000)).padStart(4)} s] ${what}`
  if (!process.stderr.isTTY) {
    process.stderr.write(`${line}\n`)
    return
  }
  process.stderr.write(`\r\x1b[2K${line.slice(0, (process.stderr.columns ?? 80) - 1)}`)
  transient = true
}

/** Says something that must stay readable. */
export function note(what: string): void {
  endProgress()
  process.stderr.write(`${what}\n`)
}

/** Leaves the terminal with an empty line to write on. */
export function endProgress(): void {
  if (transient) process.stderr.write('\r\x1b[2K')
  transient = false
}
