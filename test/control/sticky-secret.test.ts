import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { stickySecret } from '../../proxy/control/sticky-secret.ts'
import { logTape } from '../support/log-tape.ts'
import { serviceSpec, snapshotOf } from '../support/specs.ts'

const folder = mkdtempSync(join(tmpdir(), 'outrigger-sticky-'))
afterAll(() => rmSync(folder, { recursive: true }))
let count = 0
const fresh = () => join(folder, `state-${++count}`)

const sticky = (secret: string) => ({ balancer: { sticky: { cookie: 's', ttlMs: 0, path: '/', secret } } })
const peers = {
  snapshot: snapshotOf([
    serviceSpec('orders', ['a:1'], sticky('')),
    serviceSpec('stock', ['b:1'], sticky('its own')),
    serviceSpec('plain', ['c:1']),
  ]),
  origins: {},
}

function secretsOf(state: string | null, log = logTape()) {
  const { services } = stickySecret(state, log).into(peers).snapshot
  return [services.orders!.balancer.sticky!.secret, services.stock!.balancer.sticky!.secret]
}

describe('the secret of sticky cookies', () => {
  test('is drawn once, and the same after a restart; a policy that names one keeps it', () => {
    const state = fresh()
    const [first, named] = secretsOf(state)
    expect(first).toMatch(/^[0-9a-f]{64}$/)
    expect(named).toBe('its own')
    expect(secretsOf(state)[0]).toBe(first)
    expect(secretsOf(fresh())[0]).not.toBe(first)
  })

  test('is readable by its owner only', () => {
    const state = fresh()
    secretsOf(state)
    expect(statSync(join(state, 'sticky-secret')).mode & 0o777).toBe(0o600)
    expect(statSync(state).mode & 0o777).toBe(0o700)
  })

  test('is not made where nobody needs it', () => {
    const state = fresh()
    const without = {
      snapshot: snapshotOf([serviceSpec('stock', ['b:1'], sticky('its own')), serviceSpec('plain', ['c:1'])]),
      origins: {},
    }
    expect(stickySecret(state, logTape()).into(without)).toBe(without)
    expect(() => statSync(state)).toThrow('ENOENT')
  })

  test('is one of the process where it cannot be kept, and that is said once', () => {
    const log = logTape()
    const file = fresh()
    writeFileSync(file, '')
    const own = stickySecret(file, log)
    const first = own.into(peers).snapshot.services.orders!.balancer.sticky!.secret
    expect(own.into(peers).snapshot.services.orders!.balancer.sticky!.secret).toBe(first)
    expect(log.lines()).toEqual([expect.stringContaining('sticky sessions will not survive a restart')])
    expect(secretsOf(null)[0]).toMatch(/^[0-9a-f]{64}$/)
  })

  test('a pipe or nonsense in its place stops nothing, and is left as it is', () => {
    const state = fresh()
    secretsOf(state)
    const file = join(state, 'sticky-secret')
    writeFileSync(file, 'nonsense')
    const log = logTape()
    expect(secretsOf(state, log)[0]).toMatch(/^[0-9a-f]{64}$/)
    expect(log.lines()[0]).toContain('has no secret in it: remove it')
    expect(readFileSync(file, 'utf8')).toBe('nonsense')
    rmSync(file)
    execFileSync('/usr/bin/mkfifo', [file])
    expect(secretsOf(state, log)[0]).toMatch(/^[0-9a-f]{64}$/)
    expect(log.lines()[1]).toContain('is no file of this program')
  })
})
