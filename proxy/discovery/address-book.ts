import type { AddressRecord, Resolver } from '../core/dns.ts'

/** The addresses of names, and for how long they hold. */
export interface Addresses {
  of(name: string): readonly string[]
  /** The shortest TTL of all; Infinity: no answer had one. */
  readonly ttlMs: number
}

export interface AddressBook {
  /** Rejects when no name has an address. */
  find(names: readonly string[]): Promise<Addresses>
}

interface Entry {
  readonly ipv4: readonly string[]
  readonly ipv6: readonly string[]
  readonly ttlMs: number
}

/** Names that are asked for at the same time: an SRV answer may have hundreds. */
const AT_ONCE = 20
/** The TTL when a part of the answers is missing. */
const TROUBLE_MS = 5_000

/**
 * IPv4 and IPv6 addresses of names. When one query fails while others are answered (a server without AAAA, one broken
 * zone among several), its name keeps the addresses it had. `hasSystem`: a name that DNS does not know is looked up as
 * the system does: /etc/hosts, `localhost`, search domains (`orders` in Kubernetes).
 */
export function addressBook(resolver: Resolver, hasSystem: boolean): AddressBook {
  let known = new Map<string, Entry>()

  async function find(names: readonly string[]): Promise<Addresses> {
    const before = known
    const now = new Map<string, Entry>()
    const troubles: unknown[] = []
    await eachOf(names, async name => {
      const earlier = before.get(name)
      try {
        now.set(name, await ask(name, earlier))
      } catch (error) {
        troubles.push(error)
        if (earlier !== undefined) now.set(name, earlier)
      }
    })
    if (troubles.length > 0 && troubles.length === names.length) throw troubles[0]
    known = now
    const ttls = [...now.values()].map(({ ttlMs }) => ttlMs)
    return {
      of: name => [...(now.get(name)?.ipv4 ?? []), ...(now.get(name)?.ipv6 ?? [])],
      ttlMs: Math.min(...ttls, troubles.length > 0 ? TROUBLE_MS : Number.POSITIVE_INFINITY),
    }
  }

  async function ask(name: string, earlier: Entry | undefined): Promise<Entry> {
    const [four, six] = await Promise.all([settled(resolver.addresses(name, 4)), settled(resolver.addresses(name, 6))])
    const records = [...four.records, ...six.records]
    if (records.length === 0) {
      // "No such record" for one family proves nothing while the query for the other failed.
      const trouble = four.trouble ?? six.trouble
      if (trouble !== null) throw trouble
      return { ipv4: hasSystem ? await resolver.lookup(name) : [], ipv6: [], ttlMs: Number.POSITIVE_INFINITY }
    }
    const addresses = (one: Settled, before: readonly string[] = []) =>
      one.trouble === null ? one.records.map(({ address }) => address) : before
    return {
      ipv4: addresses(four, earlier?.ipv4),
      ipv6: addresses(six, earlier?.ipv6),
      ttlMs: Math.min(...records.map(({ ttlMs }) => ttlMs)),
    }
  }

  return { find }
}

interface Settled {
  readonly records: readonly AddressRecord[]
  readonly trouble: unknown
}

async function settled(asked: Promise<readonly AddressRecord[]>): Promise<Settled> {
  try {
    return { records: await asked, trouble: null }
  } catch (error) {
    return { records: [], trouble: error }
  }
}

async function eachOf(names: readonly string[], work: (name: string) => Promise<void>): Promise<void> {
  const left = [...names]
  const worker = async () => {
    for (let name = left.pop(); name !== undefined; name = left.pop()) await work(name)
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, names.length) }, worker))
}
