import type { Cluster } from '../../proxy/core/cluster.ts'
import type { Endpoint } from '../../proxy/core/endpoint.ts'
import { Exchange } from '../../proxy/core/exchange.ts'
import { HeaderList } from '../../proxy/core/header-list.ts'
import type { Route } from '../../proxy/core/route.ts'

export interface Finished {
  readonly method?: string
  readonly path?: string
  readonly authority?: string
  readonly headers?: readonly (readonly [string, string])[]
  readonly endpoint?: string
}

/**
 * A request that was answered with 200 by `orders`: began at 1,000, sent at 1,003, first byte at 1,040, done at
 * 1,045.6.
 */
export function finishedExchange({
  method = 'GET',
  path = '/api/1',
  authority = 'orders',
  headers = [],
  endpoint = '10.0.0.7:8080',
}: Finished = {}): Exchange {
  const request = {
    method,
    scheme: 'http',
    authority,
    path,
    upgrade: '',
    headers: new HeaderList(headers.flat()),
  } as const
  const exchange = new Exchange(
    { address: '10.0.0.1', port: 51234, local: '127.0.0.1', localPort: 15001 },
    'outbound',
    'http/1.1',
    request,
  )
  exchange.begin(request, 1_000)
  exchange.status = 200
  exchange.requestId = 'id-1'
  exchange.requestEndedAt = 1_001
  exchange.upstreamStartedAt = 1_003
  exchange.firstByteAt = 1_040
  exchange.completedAt = 1_045.6
  exchange.bytesIn = 12
  exchange.bytesOut = 345
  // Only the names are read.
  exchange.route = { name: '/api/*', service: 'orders' } as Route
  exchange.cluster = { name: 'orders/v2' } as Cluster
  exchange.endpoint = { name: endpoint } as Endpoint
  exchange.decision.nextTry(1_002)
  return exchange
}
