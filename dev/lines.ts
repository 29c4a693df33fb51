/** A longer line is printed in pieces. */
const MOST = 16_384

export interface LineSplitter {
  readonly push: (text: string) => void
  /** What is left without an end of line. */
  readonly end: () => void
}

export function lineSplitter(onLine: (line: string) => void): LineSplitter {
  let rest = ''
  return {
    push(text) {
      const lines = (rest + text).split(/\r?\n/)
      rest = lines.pop()!
      for (const line of lines) for (const piece of pieces(line)) onLine(piece)
      while (rest.length > MOST) {
        onLine(rest.slice(0, MOST))
        rest = rest.slice(MOST)
      }
    },
    end() {
      if (rest !== '') onLine(rest)
      rest = ''
    },
  }
}

function pieces(line: string): string[] {
  return line.length <= MOST ? [line] : (line.match(new RegExp(`.{1,${MOST}}`, 'gs')) ?? [])
}
