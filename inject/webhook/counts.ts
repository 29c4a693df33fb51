import type { Verdict } from './review.ts'

type Result = Verdict['result'] | 'refused'

const results: readonly Result[] = ['injected', 'again', 'unchanged', 'skipped', 'denied', 'refused']
const bounds = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1]

/** The webhook's metrics: name, type, labels, HELP. scripts/metrics.ts writes them to docs/metrics.md. */
export const injectorMetrics = [
  ['outrigger_injector_reviews_total', 'counter', ['result'], 'Admission reviews, by what came of them.'],
  ['outrigger_injector_review_seconds', 'histogram', [], 'Time to answer an admission review.'],
  ['outrigger_injector_certificate_expiry_seconds', 'gauge', [], 'Until the certificate of the webhook expires.'],
  ['outrigger_injector_certificate_errors_total', 'counter', [], 'Times the certificate could not be kept current.'],
] as const

export interface Counts {
  count(result: Result): void
  took(seconds: number): void
  keepingFailed(): void
  /** In the text format of Prometheus. */
  text(expirySeconds: number): string
}

export function newCounts(): Counts {
  const reviews = new Map<Result, number>(results.map(result => [result, 0]))
  const buckets = new Array<number>(bounds.length).fill(0)
  let [sum, total, failures] = [0, 0, 0]
  return {
    count: result => void reviews.set(result, reviews.get(result)! + 1),
    took(seconds) {
      sum += seconds
      total++
      for (const [index, bound] of bounds.entries()) if (seconds <= bound) buckets[index]!++
    },
    keepingFailed: () => void failures++,
    text(expirySeconds) {
      const [reviewed, took, expiry, errors] = injectorMetrics
      const head = ([name, type, , help]: (typeof injectorMetrics)[number]) =>
        `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`
      return [
        head(reviewed),
        ...results.map(result => `${reviewed[0]}{result="${result}"} ${reviews.get(result)}\n`),
        head(took),
        ...bounds.map((bound, index) => `${took[0]}_bucket{le="${bound}"} ${buckets[index]}\n`),
        `${took[0]}_bucket{le="+Inf"} ${total}\n${took[0]}_sum ${sum}\n${took[0]}_count ${total}\n`,
        `${head(expiry)}${expiry[0]} ${expirySeconds}\n`,
        `${head(errors)}${errors[0]} ${failures}\n`,
      ].join('')
    },
  }
}
