import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { obtain, versionOf } from '../../../test/peers/obtain.ts'
import type { Layout, ProxyProgram } from './proxy.ts'

export const envoy: ProxyProgram = {
  name: 'envoy',
  title: 'Envoy',
  carries: ['http1', 'h2', 'grpc', 'tcp'],
  metricsPath: '/stats/prometheus',
  prepare: async () => await versionOf('envoy', await obtain('envoy')),
  async command(layout) {
    const file = join(layout.folder, 'envoy.json')
    writeFileSync(file, JSON.stringify(bootstrap(layout)))
    // Hot restart would make two benches on one host share memory.
    return {
      command: await obtain('envoy'),
      args: ['-c', file, '--concurrency', '1', '--disable-hot-restart', '-l', 'warning'],
    }
  },
}

const type = (name: string) => ({ '@type': `type.googleapis.com/envoy.extensions.${name}` })
const address = (port: number) => ({ socket_address: { address: '127.0.0.1', port_value: port } })

const HTTP2 = { ...type('upstreams.http.v3.HttpProtocolOptions'), explicit_http_config: { http2_protocol_options: {} } }

const TCP_PROXY = {
  name: 'envoy.filters.network.tcp_proxy',
  typed_config: {
    ...type('filters.network.tcp_proxy.v3.TcpProxy'),
    stat_prefix: 'in',
    cluster: 'web',
    max_connect_attempts: 2,
  },
}

function bootstrap({ folder, listen, admin, upstreams, traffic, features }: Layout): object {
  const policy =
    features === 'bare' ? {} : { retry_policy: { retry_on: 'connect-failure,refused-stream,reset', num_retries: 2 } }
  const connectionManager = {
    ...type('filters.network.http_connection_manager.v3.HttpConnectionManager'),
    stat_prefix: 'in',
    ...(features === 'full' ? { access_log: [jsonAccessLog(join(folder, 'access.log'))] } : {}),
    route_config: {
      virtual_hosts: [
        { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'web', ...policy } }] },
      ],
    },
    http_filters: [{ name: 'envoy.filters.http.router', typed_config: type('filters.http.router.v3.Router') }],
  }
  return {
    admin: { address: address(admin) },
    static_resources: {
      listeners: [
        {
          address: address(listen),
          filter_chains: [
            {
              filters: [
                traffic === 'tcp'
                  ? TCP_PROXY
                  : { name: 'envoy.filters.network.http_connection_manager', typed_config: connectionManager },
              ],
            },
          ],
        },
      ],
      clusters: [
        {
          name: 'web',
          connect_timeout: '1s',
          lb_policy: 'LEAST_REQUEST',
          ...(traffic === 'http1' || traffic === 'tcp'
            ? {}
            : {
                typed_extension_protocol_options: { 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': HTTP2 },
              }),
          ...(features === 'bare' ? {} : { outlier_detection: {} }),
          load_assignment: {
            cluster_name: 'web',
            endpoints: [{ lb_endpoints: upstreams.map(port => ({ endpoint: { address: address(port) } })) }],
          },
        },
      ],
    },
  }
}

function jsonAccessLog(path: string): object {
  const fields = {
    start_time: '%START_TIME%',
    method: '%REQ(:METHOD)%',
    path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
    protocol: '%PROTOCOL%',
    response_code: '%RESPONSE_CODE%',
    response_flags: '%RESPONSE_FLAGS%',
    bytes_received: '%BYTES_RECEIVED%',
    bytes_sent: '%BYTES_SENT%',
    duration: '%DURATION%',
    upstream_host: '%UPSTREAM_HOST%',
    authority: '%REQ(:AUTHORITY)%',
    request_id: '%REQ(X-REQUEST-ID)%',
    user_agent: '%REQ(USER-AGENT)%',
  }
  return {
    name: 'envoy.access_loggers.file',
    typed_config: { ...type('access_loggers.file.v3.FileAccessLog'), path, log_format: { json_format: fields } },
  }
}
