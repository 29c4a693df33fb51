const CONTEXT = 3

/** What `patch` and people read: one hunk, from the first line that differs to the last. Empty: they are the same. */
export function unifiedDiff(file: string, before: string, after: string): string[] {
  if (before === after) return []
  const [a, b] = [linesOf(before), linesOf(after)]
  let head = 0
  while (head < a.length && head < b.length && a[head] === b[head]) head++
  let tail = 0
  while (tail < a.length - head && tail < b.length - head && a.at(-1 - tail) === b.at(-1 - tail)) tail++
  const from = Math.max(0, head - CONTEXT)
  const behind = Math.min(CONTEXT, tail)
  const [removed, added] = [a.slice(head, a.length - tail), b.slice(head, b.length - tail)]
  const same = a.slice(a.length - tail, a.length - tail + behind)
  const range = (count: number) => `${count === 0 ? from : from + 1},${count}`
  const around = head - from + behind
  return [
    `--- ${file}`,
    `+++ ${file}`,
    `@@ -${range(around + removed.length)} +${range(around + added.length)} @@`,
    ...marked(' ', a.slice(from, head)),
    ...marked('-', removed),
    ...marked('+', added),
    ...marked(' ', same),
  ]
}

/** With their line breaks, so that a last line without one differs from one that has it. */
function linesOf(text: string): string[] {
  return text.match(/[^\n]*\n|[^\n]+$/g) ?? []
}

function marked(sign: string, lines: readonly string[]): string[] {
  return lines.flatMap(line =>
    line.endsWith('\n') ? [`${sign}${line.slice(0, -1)}`] : [`${sign}${line}`, '\\ No newline at end of file'],
  )
}
