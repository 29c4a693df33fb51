import type { Metric } from './metric.ts'

/** Of the name server. */
export const metricsOfNames = {
  outrigger_dns_queries_total: {
    group: 'dns',
    type: 'counter',
    labels: ['kind', 'result'],
    help: 'Queries answered by the name server, by kind (`service`: answered here; `forwarded`; `invalid`: neither) and result.',
    when: 'the file has `dns:`',
  },
  outrigger_dns_forwarded_total: {
    group: 'dns',
    type: 'counter',
    labels: ['protocol'],
    help: 'Queries sent to other name servers, repeated ones too, over `udp` or `tcp`.',
    when: 'the file has `dns:`',
  },
  outrigger_dns_timeouts_total: {
    group: 'dns',
    type: 'counter',
    labels: [],
    help: 'Forwarded queries that no name server answered in time.',
    when: 'the file has `dns:`',
  },
  outrigger_dns_dropped_total: {
    group: 'dns',
    type: 'counter',
    labels: ['reason'],
    help: 'What the name server did not answer (`malformed`: no query), or ended with SERVFAIL to have room for others (`full`).',
    when: 'the file has `dns:`',
  },
  outrigger_dns_waiting: {
    group: 'dns',
    type: 'gauge',
    labels: [],
    help: 'Queries that wait for an answer.',
    when: 'the file has `dns:`',
  },
  outrigger_dns_connections: {
    group: 'dns',
    type: 'gauge',
    labels: [],
    help: 'TCP connections of clients of the name server.',
    when: 'the file has `dns:`',
  },
  outrigger_dns_virtual_addresses: {
    group: 'dns',
    type: 'gauge',
    labels: [],
    help: 'Services that have a virtual address.',
    when: 'the file has `dns:`',
  },
} as const satisfies Record<string, Metric>
