import { connectName } from '../../mesh-config/host-name.ts'
import type { ConnectSpec } from '../../mesh-config/snapshot.ts'
import type { Random } from '../core/clock.ts'
import { failures } from '../core/failure.ts'
import type { Filter, Refusal } from '../core/filter.ts'
import { CONNECT, WEBSOCKET } from '../core/tunnel.ts'

const refusal: Refusal = { failure: failures.tunnelRefused, detail: '' }

/** Checks requests for a tunnel before routing. `connect`: the allowed targets of CONNECT; null: none. */
export function tunnels(random: Random, connect: ConnectSpec | null): Filter {
  return {
    name: 'tunnels',
    onRequest({ request, protocol }) {
      const { upgrade } = request
      if (upgrade === '') return undefined
      // The router knows the names of services, and the registry those found on demand.
      if (upgrade === CONNECT)
        return connect !== null && (connect.services || connect.hosts.includes(connectName(request.authority)))
          ? undefined
          : refusal
      // HTTP/2 does not use a key; the endpoint may need one (RFC 8441 section 5, RFC 6455 section 4.1).
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
