import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Shown } from '../../intercept/main.ts'
import { expectDone, OTHER, POD, type Pod, startPod, WORLD } from './support/namespaces.ts'

/** Real rules of each tool, in namespaces of our own, seen from the connections that are or are not redirected. */

const SIDECAR = 1337
const APPLICATION = 2000

describe.each(['nft', 'iptables-nft', 'iptables-legacy'])('rules by %s', backend => {
  let pod: Pod
  const up = (...args: readonly string[]) => pod.intercept('up', '--backend', backend, ...args)

  beforeAll(async () => {
    pod = await startPod()
    for (const port of [15001, 15006, 15020, 15053, 7000, 7001, 22])
      await pod.pod.order({ do: 'listen', host: '::', port })
    for (const port of [8080, 5432, 53, 9000]) await pod.world.order({ do: 'listen', host: '::', port })
    await pod.pod.order({ do: 'answer-udp', host: '127.0.0.1', port: 15053, uid: SIDECAR })
    await pod.pod.order({ do: 'answer-udp', host: '::1', port: 15053, uid: SIDECAR })
    for (const host of [WORLD[4], WORLD[6], OTHER[4]]) await pod.world.order({ do: 'answer-udp', host, port: 53 })
  })
  afterAll(async () => {
    await pod[Symbol.asyncDispose]()
  })

  const out = (host: string, port: number, uid = APPLICATION, gid = APPLICATION) =>
    pod.pod.reach({ host, port, uid, gid })
  const inward = (host: string, port: number) => pod.world.reach({ host, port })
  const ask = (host: string, uid = APPLICATION, localPort?: number) =>
    pod.pod.order({ do: 'ask-udp', host, port: 53, uid, gid: uid, ...(localPort === undefined ? {} : { localPort }) })

  describe('outbound', () => {
    beforeAll(async () => {
      // Connections from before must not notice.
      expect(await pod.pod.reach({ host: WORLD[4], port: 8080, keep: 'before' })).toBe('direct 8080')
      expectDone(await up('--skip-users', '3000', '--skip-groups', '4000'))
    })

    test.each([4, 6] as const)(
      'IPv%i: new connections of the application are redirected, and know where they were to go',
      async family => {
        const [world, other] = [WORLD[family], OTHER[family]].map(each => (family === 6 ? `[${each}]` : each))
        expect(await out(WORLD[family], 8080)).toBe(`15001 for ${world}:8080`)
        expect(await out(OTHER[family], 1)).toBe(`15001 for ${other}:1`)
        expect(await out(WORLD[family], 8080, 0, 0)).toBe(`15001 for ${world}:8080`)
      },
    )

    test.each([4, 6] as const)(
      'IPv%i: those of the sidecar, of excluded users, and within the pod are not',
      async family => {
        expect(await out(WORLD[family], 8080, SIDECAR, 0)).toBe('direct 8080')
        expect(await out(WORLD[family], 8080, 0, SIDECAR)).toBe('direct 8080')
        expect(await out(WORLD[family], 8080, 3000, 0)).toBe('direct 8080')
        expect(await out(WORLD[family], 8080, 0, 4000)).toBe('direct 8080')
        expect(await out(family === 4 ? '127.0.0.1' : '::1', 7000)).toBe('direct 7000')
        // An application that calls itself by the address of its pod.
        expect(await out(POD[family], 7000)).toBe('direct 7000')
      },
    )

    test('a virtual address is redirected', async () => {
      expect(await out('240.64.0.5', 80)).toBe('15001 for 240.64.0.5:80')
    })

    test('UDP is not touched, and inbound connections are not either: nobody asked', async () => {
      expect(await ask(WORLD[4])).toBe(`at 53 from ${WORLD[4]}:53`)
      expect(await inward(POD[4], 7000)).toBe('direct 7000')
      expect(await inward(POD[6], 7000)).toBe('direct 7000')
    })

    test('a connection from before the rules goes on', async () => {
      expect(await pod.pod.order({ do: 'say', on: 'before', text: 'still here' })).toBe('still here')
    })

    test('other options replace the rules at once, and redirected connections go on', async () => {
      expect(await pod.pod.reach({ host: WORLD[4], port: 8080, keep: 'redirected' })).toBe(`15001 for ${WORLD[4]}:8080`)
      const many = Array.from({ length: 40 }, (_, i) => 20_000 + i * 2)
      expectDone(
        await up(
          '--skip-outbound-ports',
          ['5000-5999', ...many].join(),
          '--skip-outbound-cidrs',
          `${OTHER[4]},fd77::8/125`,
        ),
      )
      expect(await pod.pod.order({ do: 'say', on: 'redirected', text: 'still here' })).toBe('still here')
      expect(await out(WORLD[4], 5432)).toBe('direct 5432')
      expect(await out(WORLD[6], 5432)).toBe('direct 5432')
      expect(await out(OTHER[4], 8080)).toBe('direct 8080')
      expect(await out(OTHER[6], 8080)).toBe('direct 8080')
      expect(await out(WORLD[4], 20_078)).toBe('ECONNREFUSED')
      expect(await out(WORLD[4], 20_079)).toBe(`15001 for ${WORLD[4]}:20079`)
      expect(await out(WORLD[4], 8080, 3000, 0)).toBe(`15001 for ${WORLD[4]}:8080`)
    })

    test('lists of what alone is redirected: both must hold, and virtual addresses are redirected all the same', async () => {
      expectDone(await up('--only-outbound-ports', '8080,9000', '--only-outbound-cidrs', `${WORLD[4]},${WORLD[6]}`))
      expect(await out(WORLD[4], 8080)).toBe(`15001 for ${WORLD[4]}:8080`)
      expect(await out(WORLD[6], 9000)).toBe(`15001 for [${WORLD[6]}]:9000`)
      expect(await out(WORLD[4], 5432)).toBe('direct 5432')
      expect(await out(OTHER[4], 8080)).toBe('direct 8080')
      expect(await out('240.64.0.5', 5432)).toBe('15001 for 240.64.0.5:5432')
    })

    test('interfaces can be left out', async () => {
      expectDone(await up('--skip-interfaces', 'eth0'))
      expect(await out(WORLD[4], 8080)).toBe('direct 8080')
    })

    test('to a port where nothing listens: refused, until the rules are removed', async () => {
      expectDone(await up('--outbound-port', '15009'))
      expect(await out(WORLD[4], 8080)).toBe('ECONNREFUSED')
      expect(await out(WORLD[6], 8080)).toBe('ECONNREFUSED')
      expectDone(await pod.intercept('down'))
      expect(await out(WORLD[4], 8080)).toBe('direct 8080')
    })

    test('without IPv6', async () => {
      expectDone(await up('--ipv4-only'))
      expect(await out(WORLD[4], 8080)).toBe(`15001 for ${WORLD[4]}:8080`)
      expect(await out(WORLD[6], 8080)).toBe('direct 8080')
      expectDone(await pod.intercept('down'))
    })
  })

  describe('inbound', () => {
    beforeAll(async () => {
      expect(await pod.world.reach({ host: POD[4], port: 7000, keep: 'before' })).toBe('direct 7000')
      expectDone(await up('--inbound-port', '15006'))
    })

    test.each([4, 6] as const)('IPv%i: connections from elsewhere are redirected', async family => {
      const address = family === 6 ? `[${POD[6]}]` : POD[4]
      expect(await inward(POD[family], 7000)).toBe(`15006 for ${address}:7000`)
      expect(await inward(POD[family], 1)).toBe(`15006 for ${address}:1`)
    })

    test('those to the ports of the sidecar and to SSH are not, nor is one from before', async () => {
      expect(await inward(POD[4], 15_020)).toBe('direct 15020')
      expect(await inward(POD[4], 15_001)).toBe('direct 15001')
      expect(await inward(POD[6], 22)).toBe('direct 22')
      expect(await pod.world.order({ do: 'say', on: 'before', text: 'still here' })).toBe('still here')
    })

    test.each([4, 6] as const)(
      'IPv%i: the sidecar reaches the application, on loopback and by the address of the pod',
      async family => {
        expect(await out(family === 4 ? '127.0.0.1' : '::1', 7000, SIDECAR, SIDECAR)).toBe('direct 7000')
        expect(await out(POD[family], 7000, SIDECAR, SIDECAR)).toBe('direct 7000')
      },
    )

    test('one port of a caller, connected to two ports here at once', async () => {
      const call = { host: POD[4], localPort: 41_000 } as const
      expect(await pod.world.reach({ ...call, port: 7000, keep: 'first' })).toBe(`15006 for ${POD[4]}:7000`)
      expect(await pod.world.reach({ ...call, port: 7001, keep: 'second' })).toBe(`15006 for ${POD[4]}:7001`)
      expect(await pod.world.order({ do: 'say', on: 'first', text: 'one' })).toBe('one')
      expect(await pod.world.order({ do: 'say', on: 'second', text: 'two' })).toBe('two')
    })

    test('ports and callers can be left out', async () => {
      expectDone(
        await up('--inbound-port', '15006', '--skip-inbound-ports', '7001', '--skip-inbound-cidrs', `${OTHER[4]}/32`),
      )
      expect(await inward(POD[4], 22)).toBe(`15006 for ${POD[4]}:22`)
      expect(await inward(POD[4], 7001)).toBe('direct 7001')
      await pod.world.must('ip', ['route', 'replace', `${POD[4]}/32`, 'dev', 'eth0', 'src', OTHER[4]])
      expect(await inward(POD[4], 7000)).toBe('direct 7000')
      await pod.world.must('ip', ['route', 'del', `${POD[4]}/32`, 'dev', 'eth0'])
      expect(await inward(POD[4], 7000)).toBe(`15006 for ${POD[4]}:7000`)
    })

    test('or listed, without any outbound rule', async () => {
      expectDone(await up('--outbound-port', 'off', '--inbound-port', '15006', '--only-inbound-ports', '7000'))
      expect(await inward(POD[4], 7000)).toBe(`15006 for ${POD[4]}:7000`)
      expect(await inward(POD[4], 7001)).toBe('direct 7001')
      expect(await out(WORLD[4], 8080)).toBe('direct 8080')
    })

    test('connections for other machines pass', async () => {
      // The pod is a router here, as a host of containers is.
      await pod.pod.must('ip', ['link', 'add', 'inner0', 'type', 'veth', 'peer', 'name', 'inner1'])
      await pod.pod.must('ip', ['link', 'set', 'inner0', 'up'])
      await pod.pod.must('ip', ['link', 'set', 'inner1', 'up'])
      await pod.pod.must('ip', ['route', 'add', '192.0.2.0/24', 'dev', 'inner0'])
      await pod.pod.must('sh', ['-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward'])
      await pod.world.must('ip', ['route', 'add', '192.0.2.0/24', 'via', POD[4]])
      expect(await inward('192.0.2.7', 7000)).toMatch(/EHOSTUNREACH|no answer/)
      const { out: text } = await pod.intercept('show', '--json')
      const shown = JSON.parse(text) as Shown
      const passed = shown.inForce[0]!.seen.rules.find(({ label }) => label === 'connections for other machines')
      expect(passed!.packets).toBeGreaterThan(0)
    })
  })

  describe('DNS', () => {
    beforeAll(async () => {
      expectDone(await up('--dns-port', '15053', '--dns-servers', `${WORLD[4]},${WORLD[6]}`))
    })

    test('queries to the name servers are redirected, over UDP and TCP, and the answers come from where they were sent', async () => {
      expect(await ask(WORLD[4])).toBe(`at 15053 from ${WORLD[4]}:53`)
      expect(await ask(WORLD[6])).toBe(`at 15053 from ${WORLD[6]}:53`)
      expect(await out(WORLD[4], 53)).toBe(`15053 for ${WORLD[4]}:53`)
      expect(await out(WORLD[6], 53)).toBe(`15053 for [${WORLD[6]}]:53`)
    })

    test('those to other servers, and of the sidecar, are not', async () => {
      expect(await ask(OTHER[4])).toBe(`at 53 from ${OTHER[4]}:53`)
      expect(await ask(WORLD[4], SIDECAR)).toBe(`at 53 from ${WORLD[4]}:53`)
      expect(await out(WORLD[4], 53, SIDECAR)).toBe('direct 53')
    })

    test('a query of the sidecar from a port that an application used just before reaches the name server', async () => {
      expect(await ask(WORLD[4], APPLICATION, 40_000)).toBe(`at 15053 from ${WORLD[4]}:53`)
      expect(await ask(WORLD[4], SIDECAR, 40_000)).toBe(`at 53 from ${WORLD[4]}:53`)
      expect(await ask(WORLD[4], APPLICATION, 40_000)).toBe(`at 15053 from ${WORLD[4]}:53`)
    })

    test('all name servers', async () => {
      expectDone(await up('--dns-port', '15053', '--dns-servers', 'all'))
      expect(await ask(OTHER[4])).toBe(`at 15053 from ${OTHER[4]}:53`)
      expectDone(await pod.intercept('down'))
      expect(await ask(OTHER[4])).toBe(`at 53 from ${OTHER[4]}:53`)
    })
  })
})
