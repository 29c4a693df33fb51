import type { Figures } from './measure.ts'

export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
  readonly samples: number
}

export interface Problem {
  readonly scenario: string
  readonly contestant: string
  readonly message: string
}

/**
 * All that was measured. A contestant is a proxy's name, or `name:features` where its features are not the standard
 * ones.
 */
export class Results {
  readonly problems: Problem[] = []
  readonly #figures = new Map<string, Map<string, Map<string, number[]>>>()

  add(scenario: string, contestant: string, figures: Figures): void {
    for (const [name, value] of Object.entries(figures)) {
      const values = entry(
        entry(entry(this.#figures, scenario, newMap<Map<string, number[]>>), contestant, newMap<number[]>),
        name,
        (): number[] => [],
      )
      values.push(value)
    }
  }

  get(scenario: string, contestant: string, figure: string): Spread | null {
    const values = this.#figures.get(scenario)?.get(contestant)?.get(figure)
    return values === undefined ? null : spread(values)
  }

  /** The median beside Envoy's in the same run; null when one of them is missing. */
  ratio(scenario: string, contestant: string, figure: string): number | null {
    const mine = this.get(scenario, contestant, figure)
    const envoys = this.get(scenario, 'envoy', figure)
    return mine === null || envoys === null ? null : mine.median / envoys.median
  }

  contestants(scenario: string): string[] {
    return [...(this.#figures.get(scenario)?.keys() ?? [])]
  }

  /** The largest single value, over everything measured. */
  highest(figure: string): number {
    let highest = 0
    for (const contestants of this.#figures.values())
      for (const figures of contestants.values()) highest = Math.max(highest, ...(figures.get(figure) ?? []))
    return highest
  }

  toJSON(): object {
    const plain: Record<string, Record<string, Record<string, Spread>>> = {}
    for (const [scenario, contestants] of this.#figures) {
      for (const [contestant, figures] of contestants) {
        for (const [figure, values] of figures) {
          plain[scenario] ??= {}
          plain[scenario][contestant] ??= {}
          plain[scenario][contestant][figure] = spread(values)
        }
      }
    }
    return plain
  }
}

function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const median = sorted.length % 2 === 1 ? at(sorted, middle) : (at(sorted, middle - 1) + at(sorted, middle)) / 2
  return { median: round(median), min: round(at(sorted, 0)), max: round(at(sorted, -1)), samples: values.length }
}

const at = (values: readonly number[], index: number): number => values.at(index) ?? Number.NaN

/** More digits than anybody can trust, fewer than a diff of two runs wants to show. */
const round = (value: number): number => Math.round(value * 1000) / 1000

const newMap = <V>() => new Map<string, V>()

function entry<V>(map: Map<string, V>, key: string, make: () => V): V {
  let value = map.get(key)
  if (value === undefined) {
    value = make()
    map.set(key, value)
  }
  return value
}
