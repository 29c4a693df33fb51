/** A change of a text at one place. */
export interface Splice {
  readonly at: number
  readonly remove: number
  readonly insert: string
}

/** Those at the same place are inserted in their order. */
export function applySplices(text: string, splices: readonly Splice[]): string {
  let result = ''
  let from = 0
  for (const { at, remove, insert } of [...splices].sort((a, b) => a.at - b.at)) {
    if (at < from) throw new Error('splices overlap')
    result += text.slice(from, at) + insert
    from = at + remove
  }
  return result + text.slice(from)
}

/** Lines of a text, by offsets. */
export class Lines {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }

  startOf(offset: number): number {
    return this.text.lastIndexOf('\n', offset - 1) + 1
  }

  /** The start of the next line, or the end of the text. */
  after(offset: number): number {
    const end = this.text.indexOf('\n', offset)
    return end === -1 ? this.text.length : end + 1
  }

  /** What is before it on its line; null where that is more than spaces. */
  indentBefore(offset: number): string | null {
    const before = this.text.slice(this.startOf(offset), offset)
    return /^[ \t]*$/.test(before) ? before : null
  }

  indentOfLine(offset: number): string {
    return /^[ \t]*/.exec(this.text.slice(this.startOf(offset), this.after(offset)))![0]
  }

  /** The line break in use at an offset, or of the line before it. */
  breakAt(offset: number): string {
    const end = this.text.indexOf('\n', offset)
    const near = end === -1 ? this.text.lastIndexOf('\n') : end
    return near > 0 && this.text[near - 1] === '\r' ? '\r\n' : '\n'
  }

  /** Whole lines before the line that begins at `at`. */
  insertion(at: number, lines: string): Splice {
    const end = this.breakAt(Math.max(0, at - 1))
    const body = lines.replaceAll('\n', end)
    const isUnended = at === this.text.length && at > 0 && this.text[at - 1] !== '\n'
    return { at, remove: 0, insert: isUnended ? end + body.slice(0, -end.length) : body }
  }

  /** Removes whole lines, from the start of one to the start of another; those that touch are one. */
  removals(ranges: readonly (readonly [start: number, end: number])[]): Splice[] {
    const merged: [number, number][] = []
    for (const [start, end] of [...ranges].sort((a, b) => a[0] - b[0])) {
      const last = merged.at(-1)
      if (last !== undefined && last[1] === start) last[1] = end
      else merged.push([start, end])
    }
    return merged.map(([start, end]) => {
      const isUnended = end === this.text.length && this.text[end - 1] !== '\n' && start > 0
      const at = isUnended ? start - this.breakAt(start - 1).length : start
      return { at, remove: end - at, insert: '' }
    })
  }
}
