import { isIP } from 'node:net'

/** The lines of /etc/hosts: addresses by name, in lower case. */
export function parseHosts(text: string): Map<string, readonly string[]> {
  const hosts = new Map<string, string[]>()
  for (const line of text.split('\n')) {
    const [address = '', ...names] = line.replace(/#.*/, '').trim().split(/\s+/)
    if (isIP(address) === 0) continue
    for (const name of names) {
      const lower = name.toLowerCase()
      const known = hosts.get(lower)
      if (known === undefined) hosts.set(lower, [address])
      else if (!known.includes(address)) known.push(address)
    }
  }
  return hosts
}

/** The rules of resolv.conf(5) for incomplete names. */
export interface Search {
  readonly domains: readonly string[]
  /** A name with fewer dots is tried in the domains first. */
  readonly ndots: number
}

const MOST_DOMAINS = 32

export function parseResolvConf(text: string): Search {
  let domains: readonly string[] = []
  let ndots = 1
  for (const line of text.split('\n')) {
    const [keyword, ...words] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/)
    // The last of several counts.
    if (keyword === 'search' || keyword === 'domain')
      domains = words.filter(word => word !== '.').slice(0, MOST_DOMAINS)
    const dots =
      keyword === 'options'
        ? words.map(word => /^ndots:(\d{1,2})$/.exec(word)?.[1]).find(found => found !== undefined)
        : undefined
    if (dots !== undefined) ndots = Math.min(15, Number(dots))
  }
  return { domains, ndots }
}

/** The complete names that a name may mean, in the system's order. */
export function searched(name: string, { domains, ndots }: Search): readonly string[] {
  if (name.endsWith('.')) return [name.slice(0, -1)]
  const inDomains = domains.map(domain => `${name}.${domain.replace(/\.$/, '')}`)
  return name.split('.').length - 1 >= ndots ? [name, ...inDomains] : [...inDomains, name]
}
