// One line of progress on stderr: stdout belongs to whatever the caller prints.
export function say(line: string): void {
  process.stderr.write(`peers: ${line}\n`)
}

/** Runs `work`, and says what is going on only if it takes longer than two seconds; then also how long it took. */
export async function withProgress<T>(what: string, work: () => Promise<T>): Promise<T> {
  const startedAt = Date.now()
  let said = false
  const timer = setTimeout(() => {
    said = true
    say(`${what} ...`)
  }, 2000)
  try {
    return await work()
  } finally {
    clearTimeout(timer)
    if (said) say(`${what}: ${Math.round((Date.now() - startedAt) / 1000)} s`)
  }
}
