/**
 * What a page shows of a terminal: commands with what they print, and the commands behind the scenes that it needs for
 * that.
 */
export interface Step {
  readonly command: string
  /** Null: not shown. */
  readonly output: readonly string[] | null
  /** Where the output is in the page, for a page that is written anew. */
  readonly from: number
  readonly to: number
}

/**
 * The steps of a page, in order. In a block ```` ```console ```` a line that begins with `$ ` is a command, one with `>
 * ` goes on with it, and the others are what it prints. A comment `<!-- console ... -->` is a script that runs at its
 * place in the same session, and that readers do not see.
 */
export function stepsOf(page: string): Step[] {
  const lines = page.split('\n')
  const steps: Step[] = []
  for (let at = 0; at < lines.length; at++) {
    const isShown = lines[at] === '```console'
    if (!isShown && lines[at] !== '<!-- console') continue
    const end = lines.indexOf(isShown ? '```' : '-->', at)
    if (end < 0) throw new Error(`line ${at + 1}: the block does not end`)
    if (isShown) steps.push(...shownSteps(lines, at + 1, end))
    else steps.push({ command: lines.slice(at + 1, end).join('\n'), output: null, from: end, to: end })
    at = end
  }
  return steps
}

function shownSteps(lines: readonly string[], start: number, end: number): Step[] {
  const steps: Step[] = []
  let at = start
  while (at < end) {
    if (!lines[at]!.startsWith('$ '))
      throw new Error(`line ${at + 1}: a block of a terminal begins with a command: write "$ " before it`)
    const command = [lines[at++]!.slice(2)]
    while (at < end && lines[at]!.startsWith('> ')) command.push(lines[at++]!.slice(2))
    const from = at
    while (at < end && !lines[at]!.startsWith('$ ')) at++
    steps.push({ command: command.join('\n'), output: lines.slice(from, at), from, to: at })
  }
  return steps
}

/** What is another at every run, and how much room it takes. */
const VARYING: readonly (readonly [RegExp, string])[] = [
  [/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, 'ID'],
  [/\b[0-9a-f]{32}\b/g, 'TRACE'],
  [/\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, 'DATE'],
  [/\b\d\d:\d\d:\d\d\.\d{3}\b/g, 'CLOCK'],
  [/(?<=\b(version|configuration) +)[0-9a-f]{12}\b/g, 'HASH'],
  [/\b\d+(\.\d+)? ?(ms|s|min)(?!\w)/g, 'TIME'],
  [/\b\d+(\.\d+)?( %|%)/g, 'SHARE'],
  [/\b0\.\d{2,}\b/g, 'NUMBER'],
  // Of `uniq -c`, of the balancer, of the pool, of a metric, and of a row of /endpoints.
  [/^ +\d+ (?=(\d+|(web, )?orders-\d|\{.*\})$)/g, 'COUNT '],
  [/load \d+ against \d+/g, 'load COUNT against COUNT'],
  [/\(\d+ of \d+\)/g, '(COUNT of COUNT)'],
  [/(?<=\} )\d+(\.\d+)?$/g, 'COUNT'],
  [/(?<=^ +\d+\.\d+\.\d+\.\d+:\d+ .*)(?<= )\d+(?= )/g, 'COUNT'],
  [/\(pid \d+\)/g, '(pid PID)'],
  [/\b(?<=process |pid )\d+\b/g, 'PID'],
  [/127\.0\.0\.1:\d+ is free/g, 'PORT is free'],
  [/[ \t]+/g, ' '],
]

/** A line without what is another at every run: two that say the same are equal. */
export function plainLine(line: string): string {
  return VARYING.reduce((text, [pattern, name]) => text.replace(pattern, name), line).trim()
}

/**
 * Whether what was printed is what the page shows, empty lines apart. A line `...` in the page stands for any lines, or
 * none.
 */
export function agrees(shown: readonly string[], printed: readonly string[]): boolean {
  return agreesFrom(filled(shown), filled(printed))
}

export function filled(lines: readonly string[]): string[] {
  return lines.filter(line => line.trim() !== '')
}

function agreesFrom(shown: readonly string[], printed: readonly string[]): boolean {
  const [first, ...rest] = shown
  if (first === undefined) return printed.length === 0
  if (first.trim() === '...')
    return printed.some((_, index) => agreesFrom(rest, printed.slice(index))) || agreesFrom(rest, [])
  return printed.length > 0 && plainLine(first) === plainLine(printed[0]!) && agreesFrom(rest, printed.slice(1))
}
