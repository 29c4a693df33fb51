import { isIPv4, type Server } from 'node:net'
import type { AddressSpec } from '../../mesh-config/snapshot.ts'

/** The last step of `Server.listen`; undocumented in Node, so used only here. */
interface WithListen2 {
  _listen2?(
    address: string | null,
    port: number,
    family: 4 | null,
    backlog: number,
    fd: number | undefined,
    flags: number,
  ): void
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

/** The same over a listening socket that another process opened. */
export function listenOnInherited(server: Server, fd: number, backlog = 511): void {
  const way = server as unknown as WithListen2
  if (typeof way._listen2 === 'function') way._listen2(null, 0, null, backlog, fd, 0)
  else server.listen({ fd, backlog })
}

/** Undocumented in Node, so used only here. Empty: this Node does not tell. */
export function descriptorOf(server: Server): number[] {
  const { _handle: handle } = server as unknown as { readonly _handle?: { readonly fd?: number } | null }
  return typeof handle?.fd === 'number' && handle.fd >= 0 ? [handle.fd] : []
}
