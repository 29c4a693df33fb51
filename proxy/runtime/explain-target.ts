import { addressBytes, canonicalAddress, formatAddress, parseAddress } from '../../mesh-config/address.ts'
import type { Question } from '../core/channel.ts'
import type { Original } from '../core/wire.ts'

export type ExplainQuestion = Extract<Question, { what: 'explain' }>

/** Where a question leads, as far as its text says. */
export interface Target {
  /** `http`, `https`, `tcp`, `tls`, or empty for a path alone. */
  readonly scheme: string
  readonly authority: string
  readonly path: string
}

/** `http://orders/api`, `orders/api`, `/api`, `tcp://redis`; or what is wrong with it. */
export function targetOf({ url, headers }: ExplainQuestion): Target | string {
  const match =
    url === ''
      ? null
      : /^(?:(https?|tcp|tls):\/\/)?([A-Za-z0-9._[\]:-]+)?((?:\/[^#\s]*)?(?:\?[^#\s]*)?)(?:#.*)?$/i.exec(url)
  const isPath = match?.[1] === undefined && match?.[2] === undefined
  if (
    match === null ||
    (match[1] !== undefined && match[2] === undefined) ||
    /^[a-z+]+:\/\//i.test(match[1] === undefined ? url : '')
  )
    return `"${url}" is neither a URL nor a path: write http://orders/api, or /api for a listener of one service, tcp://redis for a service that speaks TCP, tls://name for a server name`
  const scheme = match[1]?.toLowerCase() ?? (isPath ? '' : 'http')
  const path = match[3] ?? ''
  return {
    scheme,
    authority: match[2] ?? headers.find(([name]) => name.toLowerCase() === 'host')?.[1] ?? '',
    path: path.startsWith('/') ? path : `/${path}`,
  }
}

const USUAL_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443, tls: 443 }

/**
 * The address that the connection was made to before it was redirected: the one that was said, else the address in the
 * URL. Null: the URL has a name, whose address only its client knows.
 */
export function originalOf({ to }: ExplainQuestion, { scheme, authority }: Target): Original | null | string {
  if (to !== undefined) {
    const parsed = parseAddress(to)
    if (parsed === null || parsed.port === 0 || addressBytes(parsed.address) === null)
      return `"${to}" is not an address with a port: write 10.0.0.7:8080, or [fd00::7]:8080`
    return named(parsed.address, parsed.port)
  }
  const usual = USUAL_PORTS[scheme]
  const parsed = parseAddress(authority) ?? (usual === undefined ? null : parseAddress(`${authority}:${usual}`))
  return parsed === null || addressBytes(parsed.address) === null ? null : named(parsed.address, parsed.port)
}

function named(written: string, port: number): Original {
  const address = canonicalAddress(written)
  return { address, port, name: formatAddress({ address, port }) }
}
