import { lstatSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ServiceSpec } from '../../mesh-config/snapshot.ts'
import type { Log } from '../core/log.ts'
import type { FilledSnapshot } from './workers.ts'

const FILE = 'sticky-secret'
const FORM = /^[0-9a-f]{64}$/

export interface StickySecret {
  /** With the secret where a service needs it. */
  into(filled: FilledSnapshot): FilledSnapshot
  /** For a process that takes over; empty: none was needed yet. */
  known(): string
}

/**
 * The secret of sticky cookies for services whose policy has none. It is drawn once and kept in the state folder, in
 * a file that only its owner may read, so sessions survive a restart. Where the file cannot be written or read, the
 * secret lasts as long as the process. Nothing is read or written before the first service with sticky sessions.
 */
export function stickySecret(folder: string | null, log: Log, handed = ''): StickySecret {
  let own = FORM.test(handed) ? handed : ''

  function secret(): string {
    if (own !== '') return own
    // Loaded on first use: loading it at the start would cost milliseconds and memory.
    const fresh = process.getBuiltinModule('node:crypto').randomBytes(32).toString('hex')
    try {
      own = folder === null ? fresh : kept(folder, fresh)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      log.warn(
        `sticky sessions will not survive a restart, because their secret cannot be kept (${why}): make the folder writable, or write sticky: { cookieSecret: ... }`,
      )
      own = fresh
    }
    return own
  }

  function withSecret(service: ServiceSpec): ServiceSpec {
    const { balancer } = service
    const { sticky } = balancer
    return sticky === null || sticky.secret !== ''
      ? service
      : { ...service, balancer: { ...balancer, sticky: { ...sticky, secret: secret() } } }
  }

  return {
    known: () => own,
    into(filled) {
      const { services } = filled.snapshot
      if (!Object.values(services).some(({ balancer }) => balancer.sticky?.secret === '')) return filled
      const withSecrets = Object.fromEntries(
        Object.entries(services).map(([name, service]) => [name, withSecret(service)]),
      )
      return { ...filled, snapshot: { ...filled.snapshot, services: withSecrets } }
    },
  }
}

/**
 * The secret in the file; a missing file is created with `fresh`. Throws when the file can be neither read nor
 * created.
 */
function kept(folder: string, fresh: string): string {
  const file = join(folder, FILE)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  try {
    writeFileSync(file, `${fresh}\n`, { flag: 'wx', mode: 0o600 })
    return fresh
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const { size } = lstatSync(file)
  // Reading a pipe would block the start, and a device may have no end.
  if (!lstatSync(file).isFile() || size > 1024) throw new Error(`${file} is no file of this program`)
  const text = readFileSync(file, 'latin1').trim()
  if (!FORM.test(text)) throw new Error(`${file} has no secret in it: remove it`)
  return text
}
