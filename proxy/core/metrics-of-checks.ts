import type { Metric } from './metric.ts'

const when = 'the service has `health:`'

/** Of active health checks. */
export const metricsOfChecks = {
  outrigger_health_checks_total: {
    group: 'discovery',
    type: 'counter',
    labels: ['service', 'result'],
    help: 'Health checks of endpoints by result: `healthy`; `unhealthy`: the endpoint says so itself; `failed`: no answer, or one that says little; `local`: this machine could not ask.',
    when,
  },
  outrigger_health_checked_endpoints: {
    group: 'discovery',
    type: 'gauge',
    labels: ['service', 'state'],
    help: 'Endpoints by what their health checks say: `healthy`, `unhealthy`, or `unchecked` as yet.',
    when,
  },
  outrigger_health_checks_waiting: {
    group: 'discovery',
    type: 'gauge',
    labels: ['service'],
    help: 'Health checks that wait because too many run.',
    when,
  },
} as const satisfies Record<string, Metric>
