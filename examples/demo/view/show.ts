import { frame } from './frame.ts'
import { plainLine } from './plain.ts'
import type { Event, Scene } from './scene.ts'
import type { Style } from './style.ts'
import { openScreen } from './terminal.ts'
import { clock } from './text.ts'

export interface ShowOptions {
  /** Lines, even on a terminal. */
  readonly plain: boolean
  /** Asks the admin ports. */
  readonly look: () => Promise<void>
  readonly scene: () => Scene
  readonly style: Style
  readonly onKey: (key: string) => void
  readonly onQuit: () => void
}

export interface View {
  /** Something happened that is shown at once. */
  told(event: Event): void
  /** Looks once more, and gives the terminal back. */
  close(): Promise<void>
}

const LOOK_MS = 1_000
const DRAW_MS = 500

/** Looks once a second, and shows it: a screen on a terminal, else a line. */
export function show(options: ShowOptions): View {
  const { look } = options
  const view = process.stdout.isTTY && !options.plain ? liveView(options) : lineView(options)
  let looked = Promise.resolve()
  const looking = setInterval(() => {
    looked = look().then(view.looked)
  }, LOOK_MS)
  // Whoever read our lines has gone (such as head): nothing is left to do.
  process.stdout.on('error', options.onQuit)
  return {
    told: view.told,
    async close() {
      clearInterval(looking)
      await looked
      await look()
      view.close()
    },
  }
}

interface Drawn {
  looked(): void
  told(event: Event): void
  close(): void
}

function liveView({ scene, style, onKey, onQuit }: ShowOptions): Drawn {
  const keys = (key: string) => (key === 'q' || key === '\x03' || key === '\x04' ? onQuit() : onKey(key))
  const screen = openScreen(process.stdout, process.stdin, keys, draw)
  const drawing = setInterval(draw, DRAW_MS)
  draw()

  function draw(): void {
    screen.draw(frame(scene(), screen.size(), style))
  }

  return {
    looked: draw,
    told: draw,
    close() {
      clearInterval(drawing)
      screen.close()
    },
  }
}

function lineView({ scene }: ShowOptions): Drawn {
  const write = (line: string) => void process.stdout.write(`${line}\n`)
  return {
    looked: () => write(plainLine(scene())),
    told: ({ seconds, text }) => write(`${clock(seconds).padStart(5)}  * ${text}`),
    close() {},
  }
}
