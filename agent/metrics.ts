import { Counter, Gauge, Histogram, Registry } from 'prom-client'

/**
 * The agent's own series, for `/metrics` of its admin port. A part makes its series when it is made. Labels have few
 * values, known before; names are `outrigger_agent_...`, with `_total` for counters and the unit at the end for others.
 */
export interface AgentMetrics {
  /** `collect` is called before each scrape, with the counter emptied: it sets what was counted elsewhere. */
  counter<Label extends string>(
    name: string,
    help: string,
    labels?: readonly Label[],
    collect?: (counter: Counter<Label>) => void,
  ): Counter<Label>
  /** `collect` is called before each scrape, with the gauge emptied: it sets what there is now. */
  gauge<Label extends string>(
    name: string,
    help: string,
    labels?: readonly Label[],
    collect?: (gauge: Gauge<Label>) => void,
  ): Gauge<Label>
  /** `buckets`: upper bounds, in the unit that the name ends with. */
  histogram<Label extends string>(
    name: string,
    help: string,
    buckets: readonly number[],
    labels?: readonly Label[],
  ): Histogram<Label>
  /** In the text format of Prometheus. */
  text(): Promise<string>
}

export function agentMetrics(): AgentMetrics {
  const registry = new Registry()
  const registers = [registry]
  return {
    counter: (name, help, labels = [], collect) =>
      new Counter({
        name,
        help,
        labelNames: [...labels],
        registers,
        ...collecting(collect),
      }),
    gauge: (name, help, labels = [], collect) =>
      new Gauge({
        name,
        help,
        labelNames: [...labels],
        registers,
        ...collecting(collect),
      }),
    histogram: (name, help, buckets, labels = []) =>
      new Histogram({ name, help, buckets: [...buckets], labelNames: [...labels], registers }),
    text: () => registry.metrics(),
  }
}

/** Before each scrape, with the metric emptied. */
function collecting<Metric extends { reset(): void }>(collect?: (metric: Metric) => void) {
  if (collect === undefined) return {}
  return {
    collect(this: Metric) {
      this.reset()
      collect(this)
    },
  }
}
