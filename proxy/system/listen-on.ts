import { isIPv4, type Server } from 'node:net'
import type { AddressSpec } from '../../mesh-config/snapshot.ts'

/** The last step of `Server.listen`; undocumented in Node, so used only here. */
interface WithListen2 {
  _listen2?(address: string, port: number, family: 4, backlog: number, fd: undefined, flags: number): void
}

/** libuv's UV_TCP_REUSEPORT. */
const REUSE_PORT = 2

/**
 * As `server.listen`: `listening` or `error` follows. For an IPv4 address it skips Node's steps for names (DNS,
 * cluster, and a regular expression that takes 4 ms to compile): a twentieth of a start. test/system/net.test.ts checks
 * that Node still allows this.
 */
export function listenOn(server: Server, { address, port }: AddressSpec, { backlog = 511, shared = false } = {}): void {
  const way = server as unknown as WithListen2
  if (isIPv4(address) && typeof way._listen2 === 'function')
    way._listen2(address, port, 4, backlog, undefined, shared ? REUSE_PORT : 0)
  else server.listen({ host: address, port, backlog, reusePort: shared })
}
