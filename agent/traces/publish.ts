import type { AgentMetrics } from '../metrics.ts'
import type { Family } from './counters.ts'

/** The figures of the traces part on the agent's /metrics. */
export function publishTraces(metrics: AgentMetrics, part: { families(): readonly Family[] }): void {
  for (const { name, help, type, samples } of part.families()) {
    const labels = Object.keys(samples[0]?.labels ?? {})
    const now = () => part.families().find(family => family.name === name)?.samples ?? []
    if (type === 'counter')
      metrics.counter(name, help, labels, counter => {
        for (const sample of now()) counter.inc(sample.labels, sample.value)
      })
    else
      metrics.gauge(name, help, labels, gauge => {
        for (const sample of now()) gauge.set(sample.labels, sample.value)
      })
  }
}
