import { writeFileSync } from 'node:fs'
import type { Tell } from './director.ts'
import type { Plan } from './mesh/plan.ts'
import type { Style } from './view/style.ts'
import { traceSvg } from './view/trace-picture.ts'
import { traceLines } from './view/trace-tree.ts'
import { type FoundTrace, findTrace } from './watch/traces.ts'

/** Looks in Jaeger for a trace with a retry in it, and shows the newest. */
export interface TraceWatch {
  found(): FoundTrace | null
  /** Of those with a second attempt, that Jaeger had when it was asked last. */
  retried(): number
  /** The tree, while the key for it was pressed last. */
  shown(): ((columns: number) => readonly string[]) | null
  /** True: the key was for it. */
  key(key: string): boolean
  /** For the terminal at the end; empty: there was none. */
  summary(): string
  /** Writes it as SVG, if there is one. */
  draw(file: string): void
  stop(): void
}

const LOOK_MS = 2_000

export function traceWatch(plan: Plan, port: number, style: Style, tell: Tell): TraceWatch {
  let found: FoundTrace | null = null
  let retried = 0
  let isShown = false
  let isLooking = false
  const names = new Map(plan.instances.map(({ name, ports }) => [`127.0.0.1:${ports.inbound}`, name]))
  const applications = new Map(plan.instances.map(({ name, ports }) => [`127.0.0.1:${ports.app}`, name]))
  const nameOf = (address: string) => names.get(address) ?? (applications.has(address) ? 'its application' : address)
  const lines = (trace: FoundTrace, width: number, isThere = true) =>
    traceLines(trace, { width, style, nameOf, isThere })

  const looking = setInterval(() => void look(), LOOK_MS)

  async function look(): Promise<void> {
    if (isLooking) return
    isLooking = true
    const looked = await findTrace(port).finally(() => {
      isLooking = false
    })
    retried = looked.retried
    if (looked.best === null) return
    if (found === null) tell(`a trace with a retry in it: ${looked.best.link}`)
    found = looked.best
  }

  return {
    found: () => found,
    retried: () => retried,
    shown: () => (isShown ? width => (found === null ? waiting : lines(found, width)) : null),
    key(key) {
      const wasShown = isShown
      isShown = key === 't' && !isShown
      return key === 't' || wasShown
    },
    summary: () => (found === null ? '' : `\n${lines(found, (process.stdout.columns || 140) - 1, false).join('\n')}\n`),
    draw(file) {
      if (found !== null) writeFileSync(file, traceSvg(found, nameOf))
    },
    stop: () => clearInterval(looking),
  }
}

const waiting = [' there was no retry yet: k kills an instance, and the requests that meet it are made again elsewhere']
