export interface Size {
  readonly columns: number
  readonly rows: number
}

/**
 * A screen of its own, drawn over in place, and the keys pressed on it. What was on the terminal before comes back with
 * `close`.
 */
export interface Screen {
  size(): Size
  draw(lines: readonly string[]): void
  close(): void
}

const ENTER = '\x1b[?1049h\x1b[?25l\x1b[2J'
const LEAVE = '\x1b[?25h\x1b[?1049l'
/** Terminals that know it show what comes between in one go. */
const BEGIN = '\x1b[?2026h\x1b[H'
const END = '\x1b[J\x1b[?2026l'
const REST_OF_LINE = '\x1b[K'

export function openScreen(
  output: NodeJS.WriteStream,
  input: NodeJS.ReadStream,
  onKey: (key: string) => void,
  onResize: () => void,
): Screen {
  let isOpen = true
  const keys = (chunk: Buffer) => {
    for (const key of chunk.toString()) onKey(key)
  }
  output.write(ENTER)
  output.on('resize', onResize)
  if (input.isTTY) {
    input.setRawMode(true)
    input.on('data', keys).resume()
  }
  // Also when the program fails: nobody wants a terminal without a cursor.
  process.on('exit', close)

  function close(): void {
    if (!isOpen) return
    isOpen = false
    output.off('resize', onResize)
    if (input.isTTY) {
      input.off('data', keys).pause()
      input.setRawMode(false)
    }
    output.write(LEAVE)
  }

  return {
    size: () => ({ columns: output.columns || 100, rows: output.rows || 30 }),
    draw(lines) {
      if (isOpen) output.write(`${BEGIN}${lines.map(line => line + REST_OF_LINE).join('\r\n')}${END}`)
    },
    close,
  }
}
