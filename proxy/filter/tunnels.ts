import { connectName } from '../../mesh-config/host-name.ts'
import type { ConnectSpec } from '../../mesh-config/snapshot.ts'
import type { Random } from '../core/clock.ts'
import { failures } from '../core/failure.ts'
import type { Filter, Refusal } from '../core/filter.ts'
import { CONNECT, WEBSOCKET } from '../core/tunnel.ts'

const refusal: Refusal = { failure: failures.tunnelRefused, detail: '' }

/**
 * What a request for a tunnel needs before it is routed. `connect`: where a CONNECT may lead, null where it may not.
 */
export function tunnels(random: Random, connect: ConnectSpec | null): Filter {
  return {
    name: 'tunnels',
    onRequest({ request, protocol }) {
      const { upgrade } = request
      if (upgrade === '') return undefined
      // Names of services are the router's to know, and of on-demand ones the registry's.
      if (upgrade === CONNECT)
        return connect !== null && (connect.services || connect.hosts.includes(connectName(request.authority)))
          ? undefined
          : refusal
      // HTTP/2 has no use for a key; the endpoint may (RFC 8441 section 5, RFC 6455 section 4.1).
      if (upgrade === WEBSOCKET && protocol === 'h2') request.headers.set('sec-websocket-key', webSocketKey(random))
      return undefined
    },
  }
}

function webSocketKey(random: Random): string {
  const nonce = Buffer.alloc(16)
  for (let i = 0; i < nonce.length; i++) nonce[i] = Math.floor(random() * 256)
  return nonce.toString('base64')
}
