const FIRST_MS = 2_000
const EVERY_MS = 30_000

/** Told of what waits for another: that one says how far it is. */
export const WAITING = 'waiting'

// One line of progress on stderr: stdout belongs to whatever the caller prints.
export function say(line: string): void {
  process.stderr.write(`peers: ${line}\n`)
}

/**
 * Runs `work`, and says what is going on if it takes longer than two seconds: at first with `takes`, an estimate,
 * then every half a minute with how far it is, and at the end how long it took.
 */
export async function withProgress<T>(
  what: string,
  takes: string | null,
  work: (tell: (state: string) => void) => Promise<T>,
): Promise<T> {
  const startedAt = Date.now()
  const elapsed = () => duration((Date.now() - startedAt) / 1000)
  let said = false
  let state = ''
  const first = setTimeout(() => {
    said = true
    say(`${what}${takes === null ? '' : `, which takes ${takes}`} ...`)
  }, FIRST_MS)
  const again = setInterval(() => {
    if (state !== WAITING) say(`${what}: ${elapsed()} so far${state === '' ? '' : `, ${state}`}`)
  }, EVERY_MS)
  try {
    return await work(text => {
      state = text
    })
  } finally {
    clearTimeout(first)
    clearInterval(again)
    if (said) say(`${what}: done after ${elapsed()}`)
  }
}

function duration(seconds: number): string {
  return seconds < 100 ? `${Math.round(seconds)} s` : `${(seconds / 60).toFixed(1)} min`
}
