/**
 * A row of the table of metrics (metrics-table.ts). `when`: what must have come about for a series to be there; absent:
 * it is always there.
 */
export interface Metric {
  readonly group: MetricGroup
  readonly type: 'counter' | 'gauge' | 'histogram'
  /** Of the value; absent: a number of things. */
  readonly unit?: 'seconds' | 'bytes' | 'ratio'
  /** In the order in which they are exposed. One with `?` is left out where it has no value. */
  readonly labels: readonly string[]
  readonly help: string
  readonly when?: string
}

export type MetricGroup =
  | 'requests'
  | 'endpoints'
  | 'tcp'
  | 'discovery'
  | 'dns'
  | 'agent'
  | 'spans'
  | 'listeners'
  | 'proxy'
