import type { Result, ScenarioResults } from '../results.ts'
import { linearScale, logScale, type Scale, tickLabel, timeAxis } from './scale.ts'
import { line, MARGIN, path, rect, text } from './svg.ts'

/** Whose courses are drawn: more lines than these nobody could tell apart. */
const SHOWN: readonly string[] = [
  'round_robin',
  'least_request',
  'peak_ewma',
  'response_time',
  'adaptive',
  'maglev, bound 125 %',
]

const TOP = 44
const HEIGHT = 170
const BOTTOM = 34
export const TIMELINE_HEIGHT = TOP + HEIGHT + BOTTOM
const LEFT = 78

/** What the vertical axis of one or several timelines must hold. */
export function valuesOf(group: readonly ScenarioResults[]): number[] {
  return group.flatMap(({ results }) =>
    shownOf(results).flatMap(({ timeline }) => timeline.filter(value => value !== null)),
  )
}

function shownOf(results: ScenarioResults['results']): Result[] {
  return SHOWN.flatMap(name => results.filter(({ contender }) => contender.name === name))
}

/** Second by second, from when the warm-up was over. */
export function drawTimeline(
  { scenario, results }: ScenarioResults,
  values: readonly number[],
  y: number,
  right: number,
): string {
  const shown = shownOf(results)
  const [top, bottom] = [y + TOP, y + TOP + HEIGHT]
  const seconds = scenario.measuredMs / 1000
  const x = linearScale(0, seconds, LEFT, right)
  const { scale, ticks, label } =
    scenario.timeline === 'p99' ? timeScale(values, top, bottom) : shareScale(values, top, bottom)
  const parts = [
    text(
      MARGIN,
      y + 12,
      `${scenario.timeline === 'p99' ? 'p99' : `Sent ${scenario.bad!.label}`}, second by second`,
      'head',
    ),
  ]
  for (const { spell } of scenario.instances) {
    if (spell === null) continue
    const [from, to] = [spell.fromMs - scenario.warmUpMs, spell.fromMs - scenario.warmUpMs + spell.lengthMs]
    parts.push(
      rect(x(from / 1000), top, x(to / 1000) - x(from / 1000), HEIGHT, 'spell'),
      text(x((from + to) / 2000), top + 14, '10 x slower', 'note', 'middle'),
    )
  }
  for (const tick of ticks)
    parts.push(
      line(LEFT, scale(tick), right, scale(tick), 'grid'),
      text(LEFT - 8, scale(tick) + 4, label(tick), 'unit', 'end'),
    )
  for (let second = 0; second <= seconds; second += 10)
    parts.push(text(x(second), bottom + 16, `${second} s`, 'unit', 'middle'))
  let legend = LEFT
  shown.forEach(({ contender, timeline }) => {
    const css = `course c${SHOWN.indexOf(contender.name)}`
    const points = timeline.flatMap((value, i) => (value === null ? [] : [[x(i + 0.5), scale(value)] as const]))
    parts.push(
      path(points, css),
      line(legend, y + 28, legend + 18, y + 28, css),
      text(legend + 24, y + 32, contender.name),
    )
    legend += 46 + 6.6 * contender.name.length
  })
  return parts.join('\n')
}

interface Vertical {
  readonly scale: Scale
  readonly ticks: readonly number[]
  readonly label: (tick: number) => string
}

function timeScale(values: readonly number[], top: number, bottom: number): Vertical {
  const { low, high, ticks } = timeAxis(values)
  return { scale: logScale(low, high, bottom, top), ticks, label: tickLabel }
}

function shareScale(values: readonly number[], top: number, bottom: number): Vertical {
  const high = Math.ceil(Math.max(...values) / 5) * 5
  const step = high > 40 ? 20 : 5
  return {
    scale: linearScale(0, high, bottom, top),
    ticks: Array.from({ length: Math.floor(high / step) + 1 }, (_, i) => i * step),
    label: tick => `${tick} %`,
  }
}
