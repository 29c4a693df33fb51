import { ipv6Text } from '../../mesh-config/address.ts'
import type { Original } from '../core/wire.ts'
import { functionsOf } from './libc.ts'

/** linux/netfilter_ipv4.h and linux/netfilter_ipv6/ip6_tables.h: SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST. */
const ORIGINAL_DST = 80
const SOL_IP = 0
const SOL_IPV6 = 41

/** Room for a `sockaddr_in6`, which is the longer one. */
const address = Buffer.alloc(28)
const length = Buffer.alloc(4)

const SHUT_WR = 1

let libc: ReturnType<typeof load> | null = null

/** Throws where this Node has no node:ffi. Without it `originalOf` knows nothing. */
export function loadOriginals(): void {
  libc ??= load()
}

function load() {
  const functions = functionsOf({
    getsockopt: { arguments: ['i32', 'i32', 'i32', 'pointer', 'pointer'], return: 'i32' },
    shutdown: { arguments: ['i32', 'i32'], return: 'i32' },
  })
  if (functions === null)
    throw new Error(
      `Node ${process.versions.node} cannot tell where redirected connections were going, which needs node:ffi: run outrigger with Node 26 or newer ("npm install --global node@26"), or remove transparent: true`,
    )
  return functions
}

/**
 * The address that an accepted connection was made to, before a rule of netfilter (REDIRECT, DNAT) sent it here; null:
 * none is known. `isIpv6`: the connection is IPv6, and not IPv4 on a socket for both. The buffers are read before the
 * next call fills them.
 */
export function originalOf(fd: number, isIpv6: boolean): Original | null {
  if (libc === null) return null
  length[0] = isIpv6 ? 28 : 16
  if (libc.getsockopt(fd, isIpv6 ? SOL_IPV6 : SOL_IP, ORIGINAL_DST, address, length) !== 0) return null
  const port = (address[2]! << 8) | address[3]!
  if (isIpv6) {
    const text = ipv6Text(address, 8)
    return { address: text, port, name: `[${text}]:${port}` }
  }
  const text = `${address[4]}.${address[5]}.${address[6]}.${address[7]}`
  return { address: text, port, name: `${text}:${port}` }
}

/**
 * Ends what is sent on a redirected connection, at once. libuv does so after all else that it has to do in this round,
 * and by then a caller that was told `Connection: close` has closed first: its port waits a minute, and an application
 * that makes a connection for each request has soon no ports left. Where both are on one address of loopback the kernel
 * takes such ports again (`net.ipv4.tcp_tw_reuse` is 2); redirected connections have the addresses of others.
 */
export function finishNow(fd: number): void {
  libc?.shutdown(fd, SHUT_WR)
}
