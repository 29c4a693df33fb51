import { isIP, type LookupFunction } from 'node:net'
import { readText } from '../../mesh-config/read-file.ts'
import type { Resolver } from '../core/dns.ts'
import { systemClock as clock } from './clock.ts'
import { speaks } from './families.ts'
import { type NameCache, nameCache } from './name-cache.ts'
import { nameResolver } from './resolve-name.ts'

const MAX_BYTES = 4 * 1024 * 1024
const LOOPBACK = ['127.0.0.1', '::1']

/** Made with the first name: a sidecar that connects only to addresses does not need it. */
let names: NameCache | null = null

/** Replaces `dns.lookup` for sockets: it blocks no thread of the process, and `localhost` needs no query (RFC 6761). */
export const lookupName: LookupFunction = (hostname, options, callback) => {
  const name = hostname.toLowerCase()
  if (isLocalhost(name)) return answer(LOOPBACK, '')
  if (isIP(name) !== 0) return answer([name], '')
  names ??= ownNames()
  names.find(name, answer)

  function answer(addresses: readonly string[], trouble: string): void {
    const wanted =
      options.family === 4 || options.family === 'IPv4' ? 4 : options.family === 6 || options.family === 'IPv6' ? 6 : 0
    const found = addresses
      .map(address => ({ address, family: isIP(address) }))
      .filter(({ family }) => wanted === 0 || family === wanted)
    const [first] = found
    if (first === undefined) return callback(new Error(trouble || `${hostname} has no IPv${wanted} address`), '', 0)
    if (options.all) callback(null, found)
    else callback(null, first.address, first.family)
  }
}

function isLocalhost(name: string): boolean {
  return name === 'localhost' || name === 'localhost.' || name.endsWith('.localhost')
}

function ownNames(): NameCache {
  let dns: Resolver | null = null
  const resolve = nameResolver({
    clock,
    dns: () => dns!,
    hosts: kept('/etc/hosts'),
    resolvConf: kept('/etc/resolv.conf'),
    speaks,
  })
  return nameCache({
    clock,
    async resolve(name) {
      dns ??= (await import('./dns.ts')).resolver([])
      return resolve(name)
    },
  })
}

const FRESH_MS = 1_000

/** A text of the system, read again when it is older than a second; empty while it cannot be read. */
function kept(path: string): () => Promise<string> {
  let text: Promise<string> = Promise.resolve('')
  let readAt = Number.NEGATIVE_INFINITY
  return () => {
    if (clock.now() - readAt >= FRESH_MS) {
      readAt = clock.now()
      text = readText(path, MAX_BYTES).catch(() => '')
    }
    return text
  }
}
