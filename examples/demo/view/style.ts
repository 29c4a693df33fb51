import { styleText } from 'node:util'

export type Paint = (text: string) => string

/**
 * What the view is drawn with: colours where the terminal has them and NO_COLOR does not forbid them, and characters
 * that it can show.
 */
export interface Style {
  readonly bold: Paint
  readonly dim: Paint
  readonly red: Paint
  readonly green: Paint
  readonly yellow: Paint
  readonly cyan: Paint
  readonly glyphs: Glyphs
}

export interface Glyphs {
  readonly arrow: string
  readonly admitting: string
  readonly probing: string
  readonly ejected: string
  readonly down: string
  readonly bar: string
  readonly halfBar: string
  readonly track: string
  readonly spark: string
  readonly yes: string
  readonly no: string
}

const beautiful: Glyphs = {
  arrow: '→',
  admitting: '●',
  probing: '◐',
  ejected: '○',
  down: '✕',
  bar: '━',
  halfBar: '╸',
  track: '─',
  spark: '▁▂▃▄▅▆▇█',
  yes: '✓',
  no: '✗',
}
const ascii: Glyphs = {
  arrow: '->',
  admitting: '*',
  probing: '?',
  ejected: 'o',
  down: 'x',
  bar: '=',
  halfBar: '-',
  track: '.',
  spark: '_.-:=+*#',
  yes: 'ok  ',
  no: 'FAIL',
}

type Environment = Readonly<Record<string, string | undefined>>

export function styleFor(stream: { readonly isTTY?: boolean }, env: Environment): Style {
  const colours = (stream.isTTY === true || isSet(env.FORCE_COLOR)) && !isSet(env.NO_COLOR) && env.TERM !== 'dumb'
  const paint =
    (format: Parameters<typeof styleText>[0]): Paint =>
    text =>
      colours ? styleText(format, text, { validateStream: false }) : text
  return {
    bold: paint('bold'),
    dim: paint('dim'),
    red: paint('red'),
    green: paint('green'),
    yellow: paint('yellow'),
    cyan: paint('cyan'),
    glyphs: showsUnicode(env) ? beautiful : ascii,
  }
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== '0'
}

/** A locale that is not set says nothing (containers rarely have one), except to tmux, which then shows underscores. */
function showsUnicode({ LC_ALL, LC_CTYPE, LANG, TERM, TMUX }: Environment): boolean {
  if (TERM === 'linux' || TERM === 'dumb') return false
  const locale = LC_ALL || LC_CTYPE || LANG || ''
  return locale === '' ? !isSet(TMUX) : /utf-?8/i.test(locale)
}
