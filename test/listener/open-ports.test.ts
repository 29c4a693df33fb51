import { describe, expect, test } from 'vitest'
import { parseAddress } from '../../mesh-config/address.ts'
import type { Wire } from '../../proxy/core/wire.ts'
import { openPorts, PortRefused } from '../../proxy/listener/open-ports.ts'
import { manualClock } from '../support/clock.ts'
import { EventLoop } from '../support/event-loop.ts'
import { nextMicrotasks } from '../support/mesh.ts'

/** A system where 0.0.0.0 and 127.0.0.1 cannot both have a port, as on Linux without SO_REUSEPORT. */
function system({ shared = false } = {}) {
  const loop = new EventLoop()
  const listening = new Map<string, (wire: Wire) => void>()
  const taken = new Set<string>()
  const calls: string[] = []
  const troubles: string[] = []
  const ports = openPorts({
    shared,
    clock: manualClock(loop),
    trouble: (name, error) => troubles.push(`${name}: ${error.message}`),
    async listen({ address, port }, onWire) {
      const key = `${address}:${port}`
      const meets = [...listening.keys()].some(other => other.endsWith(`:${port}`) && !shared)
      if (taken.has(key) || meets) throw Object.assign(new Error(`listen EADDRINUSE ${key}`), { code: 'EADDRINUSE' })
      calls.push(`open ${key}`)
      listening.set(key, onWire)
      return {
        port,
        close() {
          calls.push(`close ${key}`)
          listening.delete(key)
        },
      }
    },
  })
  const accepted: string[] = []
  const wanted = (name: string, address: string) => ({
    name,
    address: parseAddress(address)!,
    accept: () => void accepted.push(name),
  })
  const open = async (name: string, address: string) =>
    (await ports.change([wanted(name, address)], new Set())).commit()
  const call = (key: string) => listening.get(key)!(null as unknown as Wire)
  return { ports, listening, taken, calls, troubles, accepted, wanted, open, call, loop }
}

describe('a listener takes the place of another one', () => {
  test('at the same address it takes over the socket: nothing is closed', async () => {
    const { ports, calls, accepted, wanted, open, call } = system()
    await open('outbound', '127.0.0.1:80')
    const change = await ports.change([wanted('inbound', '127.0.0.1:80')], new Set(['outbound']))
    call('127.0.0.1:80')
    change.commit()
    ports.close('outbound')
    call('127.0.0.1:80')
    expect([calls, accepted]).toEqual([['open 127.0.0.1:80'], ['outbound', 'inbound']])
    ports.close('inbound')
    expect(calls.at(-1)).toBe('close 127.0.0.1:80')
  })

  test('two that swap their ports take over each other’s', async () => {
    const { ports, calls, accepted, wanted, open, call } = system()
    await open('inbound 1', '127.0.0.1:1')
    await open('outbound 2', '127.0.0.1:2')
    const change = await ports.change(
      [wanted('inbound 2', '127.0.0.1:2'), wanted('outbound 1', '127.0.0.1:1')],
      new Set(['inbound 1', 'outbound 2']),
    )
    change.commit()
    call('127.0.0.1:1')
    call('127.0.0.1:2')
    expect(accepted).toEqual(['outbound 1', 'inbound 2'])
    expect(calls).toHaveLength(2)
  })

  test('at another address of the port the old socket makes way', async () => {
    const { ports, calls, accepted, wanted, open, call } = system()
    await open('old', '127.0.0.1:80')
    const change = await ports.change([wanted('new', '0.0.0.0:80')], new Set(['old']))
    change.commit()
    ports.close('old')
    expect(calls).toEqual(['open 127.0.0.1:80', 'close 127.0.0.1:80', 'open 0.0.0.0:80'])
    call('0.0.0.0:80')
    expect(accepted).toEqual(['new'])
  })

  test('where threads share ports, the new one is open before the old one is closed', async () => {
    const { ports, calls, wanted, open } = system({ shared: true })
    await open('old', '127.0.0.1:80')
    const change = await ports.change([wanted('new', '0.0.0.0:80')], new Set(['old']))
    change.commit()
    ports.close('old')
    expect(calls).toEqual(['open 127.0.0.1:80', 'open 0.0.0.0:80', 'close 127.0.0.1:80'])
  })
})

describe('a port that cannot be had', () => {
  test('leaves everything as it was: what made way is open again, what was opened is closed', async () => {
    const { ports, calls, accepted, taken, wanted, open, call } = system()
    await open('old', '127.0.0.1:80')
    taken.add('0.0.0.0:80')
    const refused = ports.change([wanted('new', '0.0.0.0:80'), wanted('other', '127.0.0.1:81')], new Set(['old']))
    await expect(refused).rejects.toMatchObject({ port: { name: 'new' }, cause: { code: 'EADDRINUSE' } })
    await expect(refused).rejects.toBeInstanceOf(PortRefused)
    expect(calls.slice(1)).toEqual([
      'open 127.0.0.1:81',
      'close 127.0.0.1:80',
      'close 127.0.0.1:81',
      'open 127.0.0.1:80',
    ])
    call('127.0.0.1:80')
    expect(accepted).toEqual(['old'])
  })

  test('what another process took meanwhile is tried again until it is free, or not wanted any more', async () => {
    const { ports, listening, taken, troubles, wanted, open, loop } = system()
    await open('old', '127.0.0.1:80')
    taken.add('0.0.0.0:80').add('127.0.0.1:80')
    await expect(ports.change([wanted('new', '0.0.0.0:80')], new Set(['old']))).rejects.toThrow('EADDRINUSE')
    await nextMicrotasks()
    expect(troubles).toEqual([
      expect.stringMatching(
        /^old: it was closed for a new listener, and cannot be opened again: .*EADDRINUSE.*next try in 200 ms/,
      ),
    ])
    loop.advance(200)
    await nextMicrotasks()
    taken.clear()
    loop.advance(400)
    await nextMicrotasks()
    expect([...listening.keys()]).toEqual(['127.0.0.1:80'])
    expect(troubles).toHaveLength(2)
  })

  test('an undone change closes what it opened', async () => {
    const { ports, listening, wanted } = system()
    const change = await ports.change([wanted('new', '127.0.0.1:80')], new Set())
    await change.undo()
    expect(listening.size).toBe(0)
  })
})
