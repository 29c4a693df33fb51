import type { Clock } from '../core/clock.ts'
import type { AddressRecord, Resolver } from '../core/dns.ts'
import type { NameAnswer } from './name-cache.ts'
import { parseHosts, parseResolvConf, searched } from './name-files.ts'

export interface ResolveDeps {
  readonly clock: Clock
  readonly dns: () => Pick<Resolver, 'addresses' | 'lookup'>
  /** The text of /etc/hosts and of /etc/resolv.conf; empty where there is none. */
  readonly hosts: () => Promise<string>
  readonly resolvConf: () => Promise<string>
  readonly speaks: (family: 4 | 6) => boolean
}

/** A server without AAAA may leave such a query unanswered: an IPv4 answer waits this long for it. */
const OTHER_FAMILY_MS = 250

/**
 * Resolves a name as the system would (hosts file, then DNS with its search domains), but with our own queries, which
 * block no thread of the process. The system itself is asked last, for names from other sources (mDNS, LDAP, NIS), and
 * never when a name server is silent.
 */
export function nameResolver({
  clock,
  dns,
  hosts,
  resolvConf,
  speaks,
}: ResolveDeps): (name: string) => Promise<NameAnswer> {
  async function resolve(name: string): Promise<NameAnswer> {
    const listed = parseHosts(await hosts()).get(name.replace(/\.$/, '')) ?? []
    if (listed.length > 0) return { addresses: usable(listed), ttlMs: Number.POSITIVE_INFINITY }
    try {
      for (const candidate of searched(name, parseResolvConf(await resolvConf()))) {
        const records = await ask(candidate)
        if (records.length > 0)
          return {
            addresses: records.map(({ address }) => address),
            ttlMs: Math.min(...records.map(({ ttlMs }) => ttlMs)),
          }
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ETIMEOUT') throw error
      const found = await dns()
        .lookup(name)
        .catch(() => [])
      if (found.length === 0) throw error
      return { addresses: found, ttlMs: Number.POSITIVE_INFINITY }
    }
    return { addresses: await dns().lookup(name), ttlMs: Number.POSITIVE_INFINITY }
  }

  /** Both families; rejects when neither was found and one could not be asked for. */
  async function ask(name: string): Promise<readonly AddressRecord[]> {
    const four = settled(dns().addresses(name, 4))
    const six = settled(dns().addresses(name, 6))
    const ipv4 = await four
    const ipv6 = ipv4.records.length > 0 ? await Promise.race([six, after(clock, OTHER_FAMILY_MS)]) : await six
    const records = [...ipv4.records, ...ipv6.records]
    const trouble = ipv4.trouble ?? ipv6.trouble
    if (records.length === 0 && trouble !== null) throw trouble
    return records
  }

  /** All of them, where the machine uses none of their families. */
  function usable(addresses: readonly string[]): readonly string[] {
    const spoken = addresses.filter(
      address => speaks(address.includes(':') ? 6 : 4) || address === '::1' || address.startsWith('127.'),
    )
    return spoken.length > 0 ? spoken : addresses
  }

  return resolve
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

function after(clock: Clock, delayMs: number): Promise<Settled> {
  return new Promise(resolve => clock.timer(() => resolve({ records: [], trouble: null })).arm(delayMs))
}
