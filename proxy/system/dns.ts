import { type LookupAddress, NODATA, NOTFOUND, type SrvRecord } from 'node:dns'
import { lookup, Resolver as SystemResolver } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { AddressFamily } from '../../mesh-config/snapshot.ts'
import type { Resolver } from '../core/dns.ts'
import { systemClock } from './clock.ts'
import { speaks } from './families.ts'

/** The timeout of one try at one server; each gets two tries. */
const TIMEOUT_MS = 2_000
const TRIES = 2

/**
 * Queries the name servers (`address:port`; none: those of the system) through c-ares: it sees TTLs, and blocks no
 * thread.
 */
export function resolver(servers: readonly string[], which: AddressFamily = 'auto'): Resolver {
  let system = make()

  function counts(family: 4 | 6): boolean {
    return which === 'auto' ? speaks(family) : which === 'all' || which === `ipv${family}`
  }

  function make(): SystemResolver {
    const made = new SystemResolver({ timeout: TIMEOUT_MS, tries: TRIES })
    if (servers.length > 0) made.setServers(servers)
    return made
  }

  async function ask<Record>(question: (system: SystemResolver) => Promise<Record[]>, what: string): Promise<Record[]> {
    const asked = system
    try {
      return await question(asked)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === NOTFOUND || code === NODATA) return []
      // The next query reads anew which servers the system has: a laptop changes networks.
      if (system === asked) system = make()
      throw inWords(what, code)
    }
  }

  return {
    async addresses(name, family) {
      if (isIP(name) !== 0) return isIP(name) === family ? [{ address: name, ttlMs: Number.POSITIVE_INFINITY }] : []
      if (!counts(family)) return []
      const question = (asked: SystemResolver) =>
        family === 4 ? asked.resolve4(name, { ttl: true }) : asked.resolve6(name, { ttl: true })
      const records = await ask(question, `${family === 4 ? 'A' : 'AAAA'} records of ${name}`)
      return records.map(({ address, ttl }) => ({ address, ttlMs: ttl * 1000 }))
    },
    async services(name) {
      const records: SrvRecord[] = await ask(asked => asked.resolveSrv(name), `SRV records of ${name}`)
      return records.map(({ name: target, port, weight, priority }) => ({ target, port, weight, priority }))
    },
    async lookup(name) {
      try {
        const found: LookupAddress[] = await lookUpInTurn(name)
        return found.filter(({ family }) => counts(family === 6 ? 6 : 4)).map(({ address }) => address)
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        if (code === NOTFOUND) return []
        throw inWords(`the addresses of ${name}`, code)
      }
    },
    cancel: () => system.cancel(),
  }
}

/**
 * A look-up by the system occupies a thread of the process, and at most two threads serve all of them. So only one runs
 * at a time.
 */
let running: Promise<unknown> = Promise.resolve()
const SYSTEM_MS = 5_000

/** Rejects in time even if the system takes longer; the next look-up begins when it has answered. */
function lookUpInTurn(name: string): Promise<LookupAddress[]> {
  const { promise, resolve, reject } = Promise.withResolvers<LookupAddress[]>()
  let isLate = false
  const timer = systemClock.timer(() => {
    isLate = true
    reject(Object.assign(new Error('late'), { code: 'EAI_AGAIN' }))
  })
  timer.arm(SYSTEM_MS)
  running = running.then(async () => {
    if (isLate) return
    try {
      resolve(await lookup(name, { all: true }))
    } catch (error) {
      reject(error as Error)
    }
    timer.cancel()
  })
  return promise
}

function inWords(what: string, code: string | undefined): Error {
  return Object.assign(new Error(`${what}: ${reasons[code ?? ''] ?? code ?? 'no answer'}`), { code })
}

const reasons: Readonly<Record<string, string>> = {
  ETIMEOUT: 'no name server answers',
  ECONNREFUSED: 'no name server takes questions: check that it runs, and its address',
  ESERVFAIL: 'the name server has a failure of its own (SERVFAIL)',
  EREFUSED: 'the name server refuses to answer (REFUSED): it may serve other names or other callers only',
  EBADNAME: 'this is no name that can be asked for',
  ECANCELLED: 'no longer asked',
  EAI_AGAIN: 'no name server answers',
}
