import { CAPACITY, type Course, LOAD, RUN_MS, SPIKE } from '../../test/simulation/storm/metastable.ts'
import { linearScale } from '../balancing/report/scale.ts'
import { drawing, FOOT, HEAD, line, MARGIN, path, rect, text } from '../balancing/report/svg.ts'

const WIDTH = 900
const LEFT = 70
const PANEL = 190
const GAP = 58
/** Whoever looks at the lines of the legend looks at these. */
const COLOURS = ['course c3', 'course c0', 'course c1'] as const

interface Panel {
  readonly title: string
  readonly high: number
  readonly step: number
  readonly values: (course: Course) => readonly number[]
}

const PANELS: readonly Panel[] = [
  { title: 'Good answers a second', high: 500, step: 100, values: ({ good }) => good },
  {
    title: `Requests a second at the store, which carries ${CAPACITY}`,
    high: 1000,
    step: 200,
    values: ({ offered }) => offered,
  },
]

/** The courses of docs/metastable.svg, one panel below the other. */
export function renderCourses(courses: readonly { readonly name: string; readonly course: Course }[]): string {
  const seconds = RUN_MS / 1000
  const right = WIDTH - MARGIN
  const x = linearScale(0, seconds, LEFT, right)
  const parts: string[] = []
  let legend = LEFT
  courses.forEach(({ name }, i) => {
    parts.push(line(legend, HEAD + 6, legend + 18, HEAD + 6, COLOURS[i]!), text(legend + 24, HEAD + 10, name))
    legend += 46 + 6.4 * name.length
  })
  let top = HEAD + 46
  for (const { title, high, step, values } of PANELS) {
    const y = linearScale(0, high, top + PANEL, top)
    const [from, to] = [x(SPIKE.fromMs / 1000), x(SPIKE.toMs / 1000)]
    parts.push(text(MARGIN, top - 10, title, 'head'), rect(from, top, to - from, PANEL, 'spell'))
    for (let tick = 0; tick <= high; tick += step)
      parts.push(line(LEFT, y(tick), right, y(tick), 'grid'), text(LEFT - 8, y(tick) + 4, String(tick), 'unit', 'end'))
    for (let second = 0; second <= seconds; second += 10)
      parts.push(text(x(second), top + PANEL + 16, `${second} s`, 'unit', 'middle'))
    courses.forEach(({ course }, i) => {
      parts.push(
        path(
          values(course).map((value, at) => [x(at + 0.5), y(value)] as const),
          COLOURS[i]!,
        ),
      )
    })
    top += PANEL + GAP
  }
  return drawing({
    width: WIDTH,
    height: top + FOOT - 20,
    label: 'A cache is lost under a spike of load: with a retry budget the service recovers, without one it does not',
    title: 'A cache is lost while load is four times as much',
    note: `${LOAD} lookups a second, four of five from the cache; each try of the others may take 500 ms. Shaded: the spike.`,
    body: parts.join('\n'),
    foot: 'The data thread of proxy/ on a virtual clock, before a store of two instances with a queue. Written by bench/resilience/storm.ts.',
  })
}
