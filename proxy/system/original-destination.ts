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

let getsockopt: ReturnType<typeof getSockOpt> | null = null

/** Throws where this Node has no node:ffi. Without it `originalOf` knows nothing. */
export function loadOriginals(): void {
  getsockopt ??= getSockOpt()
}

function getSockOpt() {
  const libc = functionsOf({
    getsockopt: { arguments: ['i32', 'i32', 'i32', 'pointer', 'pointer'], return: 'i32' },
  })
  if (libc === null)
    throw new Error(
      `Node ${process.versions.node} cannot tell where redirected connections were going, which needs node:ffi: run outrigger with Node 26 or newer ("npm install --global node@26"), or remove transparent: true`,
    )
  return libc.getsockopt
}

/**
 * The address that an accepted connection was made to, before a rule of netfilter (REDIRECT, DNAT) sent it here; null:
 * none is known. `isIpv6`: the connection is IPv6, and not IPv4 on a socket for both. The buffers are read before the
 * next call fills them.
 */
export function originalOf(fd: number, isIpv6: boolean): Original | null {
  if (getsockopt === null) return null
  length[0] = isIpv6 ? 28 : 16
  if (getsockopt(fd, isIpv6 ? SOL_IPV6 : SOL_IP, ORIGINAL_DST, address, length) !== 0) return null
  const port = (address[2]! << 8) | address[3]!
  if (isIpv6) {
    const text = ipv6Text(address, 8)
    return { address: text, port, name: `[${text}]:${port}` }
  }
  const text = `${address[4]}.${address[5]}.${address[6]}.${address[7]}`
  return { address: text, port, name: `${text}:${port}` }
}
