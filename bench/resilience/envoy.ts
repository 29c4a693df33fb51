import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startChild, temporaryFolder } from '../../test/integration/support/child.ts'
import { freePort } from '../../test/integration/support/ports.ts'
import { get } from '../../test/integration/support/proxy.ts'
import { until } from '../../test/integration/support/until.ts'
import { obtain } from '../../test/peers/obtain.ts'
import type { Contestant, Start } from './contestant.ts'
import { POLICY } from './scenarios.ts'

/** With the same retries and ejections, written out: it has neither by default. */
export const envoy: Start = addresses =>
  startEnvoy(addresses, {
    route: {
      timeout: seconds(POLICY.requestMs),
      retry_policy: {
        retry_on: 'connect-failure,refused-stream,reset,gateway-error',
        num_retries: POLICY.attempts - 1,
        per_try_timeout: seconds(POLICY.perTryMs),
        host_selection_retry_max_attempts: 5,
        retry_host_predicate: [
          {
            name: 'envoy.retry_host_predicates.previous_hosts',
            typed_config: type('retry.host.previous_hosts.v3.PreviousHostsPredicate'),
          },
        ],
      },
    },
    cluster: {
      connect_timeout: seconds(POLICY.connectMs),
      circuit_breakers: {
        thresholds: [{ retry_budget: { budget_percent: { value: POLICY.budgetPercent }, min_retry_concurrency: 10 } }],
      },
      outlier_detection: {
        consecutive_5xx: POLICY.consecutive,
        // It is readmitted only when an interval ends.
        interval: seconds(POLICY.baseEjectionMs / 2),
        base_ejection_time: seconds(POLICY.baseEjectionMs),
        max_ejection_percent: POLICY.maxEjectedPercent,
      },
    },
  })

/** As it comes, with outlier detection turned on, as Consul does for each upstream. */
export const envoyAsItComes: Start = addresses =>
  startEnvoy(addresses, { route: { timeout: '15s' }, cluster: { connect_timeout: '5s', outlier_detection: {} } })

const type = (name: string) => ({ '@type': `type.googleapis.com/envoy.extensions.${name}` })
const seconds = (ms: number) => `${ms / 1000}s`
const socket = (address: string) => {
  const [host, port] = address.split(':')
  return { socket_address: { address: host, port_value: Number(port) } }
}

async function startEnvoy(
  addresses: readonly string[],
  { route, cluster }: { readonly route: object; readonly cluster: object },
): Promise<Contestant> {
  const [port, adminPort] = [await freePort(), await freePort()]
  const manager = {
    ...type('filters.network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: 'in',
    route_config: {
      virtual_hosts: [
        { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'web', ...route } }] },
      ],
    },
    http_filters: [{ name: 'envoy.filters.http.router', typed_config: type('filters.http.router.v3.Router') }],
  }
  const endpoints = addresses.map(address => ({ endpoint: { address: socket(address) } }))
  const bootstrap = {
    admin: { address: socket(`127.0.0.1:${adminPort}`) },
    static_resources: {
      listeners: [
        {
          address: socket(`127.0.0.1:${port}`),
          filter_chains: [
            { filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }] },
          ],
        },
      ],
      clusters: [
        {
          name: 'web',
          lb_policy: 'LEAST_REQUEST',
          load_assignment: { cluster_name: 'web', endpoints: [{ lb_endpoints: endpoints }] },
          ...cluster,
        },
      ],
    },
  }
  const file = join(temporaryFolder(), 'envoy.json')
  writeFileSync(file, JSON.stringify(bootstrap))
  const args = ['-c', file, '--concurrency', '1', '--disable-hot-restart', '-l', 'warning']
  const child = startChild(await obtain('envoy'), args)
  await until('Envoy is ready', () => {
    if (!child.running()) throw new Error(`Envoy did not start: ${child.err()}`)
    return get(adminPort, '/ready').then(
      ({ status }) => status === 200,
      () => false,
    )
  })
  return {
    port,
    async isEjected(address) {
      const { body } = await get(adminPort, '/clusters')
      return body.split('\n').some(line => line.startsWith(`web::${address}::`) && /failed_outlier_check/.test(line))
    },
    async offered() {
      const { body } = await get(adminPort, '/stats?filter=^cluster.web.upstream_rq_total$')
      return Number(/: (\d+)/.exec(body)![1])
    },
    [Symbol.asyncDispose]: () => child[Symbol.asyncDispose](),
  }
}
