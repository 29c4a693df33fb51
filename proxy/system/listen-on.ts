import { isIPv4, type Server } from 'node:net'
import type { AddressSpec } from '../../mesh-config/snapshot.ts'

/** What `Server.listen` ends in; undocumented in Node, so known here only. */
interface WithListen2 {
  _listen2?(address: string, port: number, family: 4, backlog: number, fd: undefined, flags: number): void
}

/** libuv's UV_TCP_REUSEPORT. */
const REUSE_PORT = 2

/**
 * As `server.listen`: `listening` or `error` follows. For an IPv4 address without what Node does for names first (DNS,
 * its cluster, and a regular expression that takes 4 ms to compile): a twentieth of a start. test/system/net.test.ts
 * watches that Node still has this way.
 */
export function listenOn(server: Server, { address, port }: AddressSpec, { backlog = 511, shared = false } = {}): void {
  const way = server as unknown as WithListen2
  if (isIPv4(address) && typeof way._listen2 === 'function')
    way._listen2(address, port, 4, backlog, undefined, shared ? REUSE_PORT : 0)
  else server.listen({ host: address, port, backlog, reusePort: shared })
}
