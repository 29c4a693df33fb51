// node bench/resilience/storm.ts: what retries make of one request, and of a cache that is lost. Prints the tables of
// docs/resilience.md and writes docs/metastable.svg.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { metastable } from '../../test/simulation/storm/metastable.ts'
import { POLICIES, RETRIED_THREE_TIMES } from '../../test/simulation/storm/policies.ts'
import { storm } from '../../test/simulation/storm/tiers.ts'
import { renderCourses } from './courses.ts'
import { markdown } from './table.ts'

const RATE = 200
const FOR_MS = 20_000

const storms: string[][] = []
for (const [name, one] of Object.entries(POLICIES)) {
  const busy = await storm({ ...one, rate: RATE, forMs: FOR_MS, bottom: 'busy' })
  const gone = await storm({ ...one, rate: RATE, forMs: FOR_MS, bottom: 'gone' })
  storms.push([name, times(busy.amplification), times(gone.amplification)])
}
console.log(markdown(['at each of three hops', 'the last service answers 503', 'nobody listens there'], storms))

const courses: { name: string; course: Awaited<ReturnType<typeof metastable>> }[] = []
for (const [name, policy] of Object.entries(RETRIED_THREE_TIMES))
  courses.push({ name, course: await metastable(policy) })
console.log(
  markdown(
    ['', 'well again after the end of the spike', 'good answers a second, 20 to 40 s after it'],
    courses.map(({ name, course: { recoveredAfterS, good } }) => {
      const late = good.slice(45, 65)
      const mean = late.reduce((sum, count) => sum + count, 0) / late.length
      return [name, recoveredAfterS === null ? 'never' : `${recoveredAfterS} s`, String(Math.round(mean))]
    }),
  ),
)
writeFileSync(join(import.meta.dirname, '../../docs/metastable.svg'), renderCourses(courses))

function times(amplification: number): string {
  return `${amplification.toFixed(amplification < 10 ? 2 : 0)}x`
}
