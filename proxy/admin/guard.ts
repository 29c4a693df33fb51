import { isLiteral, isLoopback } from '../../mesh-config/address.ts'

/** The fields of a request that decide whether it is answered. */
export interface Origin {
  readonly method: string
  readonly host: string | undefined
  readonly origin: string | undefined
  readonly fetchSite: string | undefined
}

/**
 * Why a request is refused; null: it may pass. Every client that can connect is trusted, except web pages in a
 * browser. A page that points its own name at this port (DNS rebinding) shows in Host, and a form or fetch that would
 * change something shows in Origin.
 *
 * A port on loopback accepts loopback addresses and `localhost` in Host. A port on another address accepts any IP
 * address, because the origin of a foreign page cannot be an address of this machine, and an empty Host, which no
 * browser sends. Both accept `hosts`, which are in lower case.
 */
export function refusal(
  { method, host = '', origin, fetchSite }: Origin,
  listenAddress: string,
  hosts: readonly string[],
): string | null {
  const name = hostName(host)
  const isKnown = loopbackName.test(name) || hosts.includes(name)
  if (!isKnown && isLoopback(listenAddress))
    return `this admin port answers to localhost and loopback addresses only, not to ${JSON.stringify(host)}: ask 127.0.0.1, or list the name under adminHosts`
  if (!isKnown && name !== '' && !isLiteral(name))
    return `this admin port answers to addresses, not to the name ${JSON.stringify(host)}: ask by address, or list the name under adminHosts`
  if (method === 'GET' || method === 'HEAD') return null
  const foreign = fetchSite !== undefined && fetchSite !== 'same-origin' && fetchSite !== 'none'
  if (foreign || (origin !== undefined && hostOf(origin) !== host.toLowerCase()))
    return 'a web page from elsewhere may not change anything here'
  return null
}

/** Complete addresses, not prefixes: `127.0.0.1.evil.example` is a name. */
const loopbackName = /^(127(\.\d{1,3}){3}|::1|(.+\.)?localhost)$/

function hostName(host: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d*)?$/.exec(host)
  return (bracketed === null ? host.replace(/:\d*$/, '').replace(/\.$/, '') : bracketed[1]!).toLowerCase()
}

function hostOf(origin: string): string | null {
  return URL.parse(origin)?.host ?? null
}
