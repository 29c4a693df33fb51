// `node bench/micro/run.ts [part of a name ...]`: times the cases of every *.bench.ts beside this file. Contract:
// case.ts.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import pc from 'picocolors'
import { isCase } from './case.ts'
import { time } from './time.ts'

const wanted = process.argv.slice(2)
const files = readdirSync(import.meta.dirname)
  .filter(file => file.endsWith('.bench.ts'))
  .sort()
let count = 0
for (const file of files) {
  const part = file.slice(0, -'.bench.ts'.length)
  const cases = Object.entries(
    (await import(pathToFileURL(join(import.meta.dirname, file)).href)) as Record<string, unknown>,
  )
  for (const [name, one] of cases) {
    const title = `${part} ${name}`
    if (!isCase(one) || (wanted.length > 0 && !wanted.some(text => title.includes(text)))) continue
    if (count++ === 0)
      console.log(
        pc.dim(`${'case'.padEnd(48)}${'ns/op'.padStart(12)}${'quartiles'.padStart(22)}${'bytes/op'.padStart(12)}`),
      )
    const { nsPerOp, quartiles, bytesPerOp } = time(one)
    const range = quartiles.map(ns => digits(ns)).join(' - ')
    console.log(
      `${title.padEnd(48)}${pc.bold(digits(nsPerOp).padStart(12))}${range.padStart(22)}${(bytesPerOp === null ? '?' : digits(bytesPerOp)).padStart(12)}`,
    )
  }
}
if (count === 0) {
  console.error(
    wanted.length === 0
      ? 'there is no case: no *.bench.ts in bench/micro'
      : `no case has ${wanted.join(' or ')} in its name`,
  )
  process.exit(1)
}

function digits(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString('en-US') : value.toFixed(1)
}
