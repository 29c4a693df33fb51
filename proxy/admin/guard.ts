import { isLoopback } from '../../mesh-config/address.ts'

/** What of a request says whether it may be answered. */
export interface Origin {
  readonly method: string
  readonly host: string | undefined
  readonly origin: string | undefined
  readonly fetchSite: string | undefined
}

/**
 * Why a request is refused; null: it may pass. On loopback whoever can connect is trusted, except the web pages open in a browser on this machine: a name that
 * resolves to 127.0.0.1 (DNS rebinding) shows in Host, and a form or fetch that would change something shows in Origin.
 */
export function refusal({ method, host, origin, fetchSite }: Origin, listenAddress: string): string | null {
  const name = hostName(host ?? '')
  if (isLoopback(listenAddress) && !loopbackName.test(name))
    return `this admin port answers to localhost and loopback addresses only, not to ${JSON.stringify(host ?? '')}`
  if (method === 'GET' || method === 'HEAD') return null
  const foreign = fetchSite !== undefined && fetchSite !== 'same-origin' && fetchSite !== 'none'
  if (foreign || (origin !== undefined && hostOf(origin) !== host)) return 'a web page from elsewhere may not change anything here'
  return null
}

/** Addresses written out, not just begun so: `127.0.0.1.evil.example` is a name. */
const loopbackName = /^(127(\.\d{1,3}){3}|::1|(.+\.)?localhost)$/

function hostName(host: string): string {
  const bracketed = /^\[([^\]]*)\]/.exec(host)
  return (bracketed === null ? host.replace(/:\d*$/, '') : bracketed[1]!).toLowerCase()
}

function hostOf(origin: string): string | null {
  return URL.parse(origin)?.host ?? null
}
