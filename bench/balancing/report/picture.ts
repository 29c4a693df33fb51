import type { ScenarioResults } from '../results.ts'
import { GROUPS } from '../scenarios.ts'
import { drawRows, WIDTH } from './rows.ts'
import { timeAxis } from './scale.ts'
import { drawing, FOOT, HEAD, MARGIN } from './svg.ts'
import { drawTimeline, TIMELINE_HEIGHT, valuesOf } from './timeline.ts'

const GAP = 26

/** The scenarios of one group, one below the other on the same scale of time. */
export function renderPicture(group: readonly ScenarioResults[]): string {
  const axis = timeAxis(
    group
      .flatMap(({ results }) => results.flatMap(({ figures: { p50Ms, p99Ms } }) => [p50Ms, p99Ms]))
      .filter(Number.isFinite),
  )
  const { title, group: name } = group[0]!.scenario
  const isAlone = group.length === 1
  const values = valuesOf(group)
  const parts: string[] = []
  let y = HEAD + 10
  for (const results of group) {
    const { drawn, height } = drawRows(results, isAlone ? '' : results.scenario.title, y, axis)
    parts.push(drawn)
    y += height + GAP
    if (results.scenario.timeline === null) continue
    parts.push(drawTimeline(results, values, y, WIDTH - MARGIN))
    y += TIMELINE_HEIGHT
  }
  return drawing({
    width: WIDTH,
    height: Math.round(y + FOOT - 10),
    label: group.map(({ scenario }) => scenario.title).join('; '),
    title: isAlone ? title : GROUPS[name],
    note: 'From the dot, p50, to the end of the line, p99 (log scale). Green: as good as the best. Red: three times its p99, or one in a hundred fails.',
    body: parts.join('\n'),
    foot: 'Skew: most requests for the capacity, 1 is in proportion. Dashed: the fair share. All got the same requests at the same moments.',
  })
}
