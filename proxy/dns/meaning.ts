/** What a name asks for. */
export type Meaning =
  /** A service. `zone`: the owner of a negative answer. */
  | { readonly kind: 'service'; readonly service: string; readonly zone: string; readonly form: NameForm }
  /** Of our own domain, and no service can have it; `isThere`: the domain itself. */
  | { readonly kind: 'none'; readonly zone: string; readonly isThere: boolean }
  /** The name of a virtual address: `4.3.2.1.in-addr.arpa`. */
  | { readonly kind: 'reverse'; readonly address: readonly number[]; readonly zone: string }
  | { readonly kind: 'other' }

/**
 * `domain`: `orders.mesh`, which nobody else answers. `consul`: `orders.service.consul`. `bare`: `orders`, after the
 * search domains.
 */
export type NameForm = 'domain' | 'consul' | 'bare'

export interface MeaningOptions {
  readonly domain: string
  /** Whether names of this service in this datacenter of Consul mean it. */
  readonly isHere: (service: string, datacenter: string) => boolean
}

const OTHER: Meaning = { kind: 'other' }
/** Of one label: what mesh-config allows as the name of a service. */
const BARE = /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/
const NAME = /^[a-z0-9](?:[a-z0-9_.-]*[a-z0-9])?$/
/** `virtual` is how Consul itself calls the virtual address of a service. */
const CONSUL = /^([a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?)\.(?:service|virtual)(?:\.([a-z0-9-]+)(?:\.dc)?)?\.consul$/
const REVERSE4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/
const REVERSE6 = /^((?:[0-9a-f]\.){32})ip6\.arpa$/

/** `name`: in lower case, without the dot at the end. */
export function meaningOf(name: string, { domain, isHere }: MeaningOptions): Meaning {
  if (name === domain) return { kind: 'none', zone: domain, isThere: true }
  if (name.endsWith(`.${domain}`)) {
    const service = name.slice(0, -domain.length - 1)
    return NAME.test(service)
      ? { kind: 'service', service, zone: domain, form: 'domain' }
      : { kind: 'none', zone: domain, isThere: false }
  }
  if (!name.includes('.')) {
    // RFC 6761: resolvers answer it themselves, so one that asks wants to hear its server.
    if (name === 'localhost' || !BARE.test(name)) return OTHER
    return { kind: 'service', service: name, zone: name, form: 'bare' }
  }
  if (name.endsWith('.consul')) {
    const [, service, datacenter] = CONSUL.exec(name) ?? []
    if (service === undefined || (datacenter !== undefined && !isHere(service, datacenter))) return OTHER
    return { kind: 'service', service, zone: 'consul', form: 'consul' }
  }
  return name.endsWith('.arpa') ? reverseOf(name) : OTHER
}

function reverseOf(name: string): Meaning {
  const four = REVERSE4.exec(name)
  if (four !== null) {
    const address = four.slice(1, 5).map(Number).reverse()
    return address.every(byte => byte < 256) ? { kind: 'reverse', address, zone: 'in-addr.arpa' } : OTHER
  }
  const six = REVERSE6.exec(name)
  if (six === null) return OTHER
  const digits = six[1]!.replaceAll('.', '').split('').reverse().join('')
  const address = Array.from({ length: 16 }, (_, i) => Number.parseInt(digits.slice(i * 2, i * 2 + 2), 16))
  return { kind: 'reverse', address, zone: 'ip6.arpa' }
}
