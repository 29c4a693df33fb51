import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { obtain } from '../../peers/obtain.ts'
import { type Child, startChild, temporaryFolder } from './child.ts'
import { freePort } from './ports.ts'
import { get } from './proxy.ts'
import { until } from './until.ts'

export interface Envoy extends Child {
  readonly address: string
  readonly adminPort: number
}

const type = (name: string) => ({ '@type': `type.googleapis.com/envoy.extensions.${name}` })
const address = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } })

/** A real Envoy that speaks HTTP/2 alone and forwards to one port; `maxStreams` at once on a connection. */
export async function startEnvoy(forward: number, maxStreams: number): Promise<Envoy> {
  const [port, adminPort] = [await freePort(), await freePort()]
  const file = join(temporaryFolder(), 'envoy.json')
  const manager = {
    ...type('filters.network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: 'in',
    codec_type: 'HTTP2',
    http2_protocol_options: { max_concurrent_streams: maxStreams, allow_connect: true },
    upgrade_configs: [{ upgrade_type: 'websocket' }],
    drain_timeout: '1s',
    route_config: {
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [{ match: { prefix: '/' }, route: { cluster: 'backend', timeout: '60s' } }],
        },
      ],
    },
    http_filters: [{ name: 'envoy.filters.http.router', typed_config: type('filters.http.router.v3.Router') }],
  }
  const load_assignment = {
    cluster_name: 'backend',
    endpoints: [{ lb_endpoints: [{ endpoint: { address: address(forward) } }] }],
  }
  const bootstrap = {
    admin: { address: address(adminPort) },
    static_resources: {
      listeners: [
        {
          address: address(port),
          filter_chains: [
            { filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }] },
          ],
        },
      ],
      clusters: [{ name: 'backend', connect_timeout: '2s', load_assignment }],
    },
  }
  writeFileSync(file, JSON.stringify(bootstrap))
  const args = [
    '-c',
    file,
    '--concurrency',
    '1',
    '--disable-hot-restart',
    '-l',
    'warning',
    '--drain-time-s',
    '1',
    '--drain-strategy',
    'immediate',
  ]
  const child = startChild(await obtain('envoy'), args)
  await until('Envoy is ready', () => {
    if (!child.running()) throw new Error(`Envoy did not start: ${child.err()}`)
    return get(adminPort, '/ready').then(
      ({ status }) => status === 200,
      () => false,
    )
  })
  return { ...child, address: `127.0.0.1:${port}`, adminPort }
}
