import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { tool } from '../peers/find.ts'
import { node, root, startChild, temporaryFolder } from './support/child.ts'
import { expectDone, POD, type Pod, startPod, WORLD } from './support/namespaces.ts'

/** What `up` and `down` leave alone, and what happens when they are refused, killed or lack their tools. */

const backends = ['nft', 'iptables-nft', 'iptables-legacy'] as const

let pod: Pod
beforeEach(async () => {
  pod = await startPod()
})
afterEach(async () => {
  await pod[Symbol.asyncDispose]()
})

/** Everything that the kernel has, without counters and dates. */
async function everything(): Promise<string> {
  const texts = [
    await pod.pod.must('nft', ['--stateless', 'list', 'ruleset']),
    await pod.pod.must('iptables-nft-save', []),
    await pod.pod.must('ip6tables-nft-save', []),
    await pod.pod.must('iptables-legacy-save', []),
    await pod.pod.must('ip6tables-legacy-save', []),
  ]
  return texts
    .join('\n')
    .replace(/^#.*\n/gm, '')
    .replace(/\[\d+:\d+\]/g, '')
    .replace(/counter packets \d+ bytes \d+/g, 'counter')
}

/** As on a host with docker and kube-proxy, and a firewall of somebody else's. */
const foreign = `*nat
:DOCKER - [0:0]
:KUBE-SERVICES - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A KUBE-SERVICES -d 10.96.0.10/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination ${WORLD[4]}:8080
COMMIT
*raw
:THEIRS - [0:0]
-A OUTPUT -p udp -m udp --dport 9 -j THEIRS
COMMIT
*filter
:INPUT ACCEPT [0:0]
-A INPUT -p tcp -m tcp --dport 23 -j DROP
COMMIT
`

const foreignNft =
  'table inet firewall {\n  chain input {\n    type filter hook input priority 0; policy accept;\n    tcp dport 23 drop\n  }\n}\n'

async function addForeign(): Promise<void> {
  for (const flavour of ['nft', 'legacy']) {
    await pod.pod.must(`iptables-${flavour}-restore`, ['--noflush'], foreign)
    await pod.pod.must(
      `ip6tables-${flavour}-restore`,
      ['--noflush'],
      foreign.replaceAll('127.0.0.0/8', '::1').replace(/^.*10\.96.*\n/m, ''),
    )
  }
  await pod.pod.must('nft', ['-f', '-'], foreignNft)
}

const options = ['--inbound-port', '15006', '--dns-port', '15053', '--dns-servers', `${WORLD[4]},${WORLD[6]}`]

describe.each(backends)('%s', backend => {
  const up = (...args: readonly string[]) => pod.intercept('up', '--backend', backend, ...args)

  test('a second time changes nothing; after down all is as it was, byte for byte', async () => {
    await addForeign()
    const before = await everything()
    const first = await up(...options)
    expectDone(first)
    expect(first.out).toMatch(new RegExp(`^set by ${backend}\n`))
    const set = await everything()
    expect(set).not.toBe(before)
    const second = await up(...options)
    expectDone(second)
    expect(second.out).toBe(`in force already, by ${backend}: nothing changed\n`)
    expect(await everything()).toBe(set)
    expect((await pod.intercept('show', '--backend', backend, ...options)).out).toMatch(/^in force, as asked\n/)
    expect((await pod.intercept('show', '--inbound-port', '15006')).code).toBe(3)
    const down = await pod.intercept('down')
    expect(down.out).toBe(`removed from ${backend}\n`)
    expect(await everything()).toBe(before)
    expect((await pod.intercept('down')).out).toBe('there are no rules of outrigger\n')
    expect(await pod.intercept('show')).toMatchObject({ code: 3, out: 'not in force: nothing is redirected\n' })
  })

  test('it comes before kube-proxy, also where kube-proxy came later', async () => {
    await pod.pod.order({ do: 'listen', host: '::', port: 15001 })
    await pod.world.order({ do: 'listen', host: '::', port: 8080 })
    expectDone(await up())
    const iptables = backend === 'iptables-legacy' ? 'iptables-legacy' : 'iptables-nft'
    await pod.pod.must(`${iptables}-restore`, ['--noflush'], foreign)
    // Some put theirs in front whenever they start.
    await pod.pod.must(iptables, ['-t', 'nat', '-I', 'OUTPUT', '1', '-j', 'KUBE-SERVICES'])
    expectDone(await up())
    expect(await pod.pod.reach({ host: '10.96.0.10', port: 80 })).toBe('15001 for 10.96.0.10:80')
    // The sidecar calls the same address: for it kube-proxy translates.
    expect(await pod.pod.reach({ host: '10.96.0.10', port: 80, uid: 1337 })).toBe('direct 8080')
  })

  test('somebody changes a rule of ours: it is shown, and set right', async () => {
    expectDone(await up(...options))
    const change = {
      nft: ['nft', ['flush', 'chain', 'ip', 'outrigger', 'inbound']],
      'iptables-nft': ['iptables-nft', ['-t', 'nat', '-F', 'OUTRIGGER_INBOUND']],
      'iptables-legacy': ['iptables-legacy', ['-t', 'nat', '-F', 'OUTRIGGER_INBOUND']],
    } as const
    const [tool, args] = change[backend]
    await pod.pod.must(tool, args)
    const shown = await pod.intercept('show', ...options)
    expect(shown.code).toBe(3)
    expect(shown.out).toMatch(/^in force, but not as asked:\n {2}IPv4: is missing: /)
    expect((await up(...options)).out).toMatch(/^set by/)
    expect((await pod.intercept('show', ...options)).out).toMatch(/^in force, as asked\n/)
  })

  test('killed at any time: either the old rules are in force or the new ones, and both can be removed', async () => {
    const other = ['--skip-outbound-ports', '5432', '--inbound-port', '15006']
    const state = async () => (await pod.intercept('show', '--json')).out
    expectDone(await up(...options))
    const states = [await state()]
    expectDone(await up(...other))
    states.push(await state())
    const family = (text: string, number: number) => {
      const shown = JSON.parse(text) as { inForce: { family: number; seen: { rules: { label: string }[] } }[] }
      return JSON.stringify(shown.inForce.find(each => each.family === number)?.seen.rules.map(({ label }) => label))
    }
    for (let round = 0; round < 5; round++) {
      const started = performance.now()
      const run = startChild(tool('ip'), [
        'netns',
        'exec',
        pod.pod.name,
        node,
        join(root, 'bin/outrigger.js'),
        'intercept',
        'up',
        '--backend',
        backend,
        ...(round % 2 === 0 ? options : other),
      ])
      // The first one tells how long it takes; the others are killed somewhere in it.
      if (round > 0) setTimeout(() => run.signal('SIGKILL'), took * (0.35 + 0.15 * round))
      await run.ended
      if (round === 0) took = performance.now() - started
      const now = await state()
      // With iptables each family is a step of its own.
      for (const number of [4, 6]) expect(states.map(each => family(each, number))).toContain(family(now, number))
      if (backend === 'nft')
        expect(states.map(each => family(each, 4) + family(each, 6))).toContain(family(now, 4) + family(now, 6))
    }
    expectDone(await pod.intercept('down'))
    expect((await pod.intercept('show')).code).toBe(3)
  })
})

let took = 0

test('rules of an earlier tool go when another one sets them', async () => {
  expectDone(await pod.intercept('up', '--backend', 'iptables-legacy'))
  expect((await pod.intercept('up')).out).toMatch(/^set by nft\n/)
  expect(await pod.pod.must('iptables-legacy-save', [])).not.toContain('OUTRIGGER')
})

test('what --dry-run prints is what the tool takes, and what up sets', async () => {
  const dry = await pod.intercept('up', '--dry-run', ...options)
  expectDone(dry)
  await pod.pod.must('nft', ['-f', '-'], dry.out)
  expect((await pod.intercept('up', ...options)).out).toMatch(/nothing changed/)
  expectDone(await pod.intercept('down'))
  const ofLegacy = await pod.intercept('up', '--dry-run', '--backend', 'iptables-legacy', ...options)
  const [, four, six] = ofLegacy.out.split(/^# ip6?tables-legacy-restore.*\n/m)
  await pod.pod.must('iptables-legacy-restore', ['--noflush'], four)
  await pod.pod.must('ip6tables-legacy-restore', ['--noflush'], six)
  expect((await pod.intercept('up', '--backend', 'iptables-legacy', ...options)).out).toMatch(/nothing changed/)
})

describe('refused', () => {
  test.each([
    ['Istio', 'ISTIO_OUTPUT', 'iptables-nft'],
    ['Linkerd', 'PROXY_INIT_OUTPUT', 'iptables-legacy'],
    ['Consul', 'CONSUL_PROXY_OUTPUT', 'iptables-nft'],
  ])('beside the rules of %s, unless forced', async (mesh, chain, tool) => {
    await pod.pod.must(tool, ['-t', 'nat', '-N', chain])
    await pod.pod.must(tool, ['-t', 'nat', '-A', 'OUTPUT', '-p', 'tcp', '-j', chain])
    const before = await everything()
    const refused = await pod.intercept('up')
    expect(refused.code).toBe(1)
    expect(refused.err).toContain(`${mesh} redirects the same connections`)
    expect(refused.err).toContain(chain)
    expect(await everything()).toBe(before)
    const forced = await pod.intercept('up', '--force')
    expectDone(forced)
    expect(forced.err).toContain(`warning: ${mesh}`)
  })

  test('without the capability, before anything else', async () => {
    const unprivileged = (...args: readonly string[]) =>
      pod.pod.run('setpriv', [
        '--bounding-set',
        '-net_admin',
        node,
        join(root, 'bin/outrigger.js'),
        'intercept',
        ...args,
      ])
    for (const action of ['up', 'down', 'show']) {
      const refused = await unprivileged(action)
      expect(refused.code).toBe(1)
      expect(refused.err).toContain('CAP_NET_ADMIN: run this as root (sudo), or in a container')
    }
    expectDone(await unprivileged('up', '--dry-run'))
  })
})

test('other redirects and untracked connections are warned of', async () => {
  await pod.pod.must('iptables-nft', [
    '-t',
    'nat',
    '-A',
    'OUTPUT',
    '-p',
    'tcp',
    '--dport',
    '81',
    '-j',
    'REDIRECT',
    '--to-ports',
    '8118',
  ])
  await pod.pod.must('iptables-legacy', ['-t', 'raw', '-A', 'OUTPUT', '-p', 'tcp', '--dport', '82', '-j', 'NOTRACK'])
  const { code, err } = await pod.intercept('up')
  expect(code).toBe(0)
  expect(err).toMatch(/warning: another program redirects connections too; ours come first \(nft, OUTPUT: .*8118/)
  expect(err).toMatch(/warning: connections without tracking are never redirected \(iptables-legacy, OUTPUT: /)
})

describe('tools that are not here', () => {
  /** In a mount namespace of its own, where these programs are something else. */
  const without = (script: string, ...args: readonly string[]) =>
    pod.pod.run('unshare', [
      '--mount',
      'sh',
      '-ec',
      `${script}\nexec "$@"`,
      'sh',
      node,
      join(root, 'bin/outrigger.js'),
      'intercept',
      ...args,
    ])
  const hide = (...names: readonly string[]) =>
    names.map(name => `for f in $(command -v ${name}); do mount --bind /dev/null $(readlink -f $f); done`).join('\n')

  test('no nft: iptables does it', async () => {
    expect((await without(hide('nft'), 'up')).out).toMatch(/^set by iptables-nft\n/)
  })

  test('neither: the packages are named', async () => {
    const refused = await without(hide('nft', 'iptables-nft', 'iptables-legacy'), 'up')
    expect(refused.code).toBe(1)
    expect(refused.err).toContain('install one of the packages nftables and iptables')
  })

  /** As these tools end on such a kernel. */
  const failing = (names: readonly string[], message: string) => {
    const file = join(temporaryFolder(), 'failing')
    writeFileSync(file, `#!/bin/sh\necho '${message}' >&2\nexit 1\n`, { mode: 0o755 })
    return names.map(name => `mount --bind ${file} $(readlink -f $(command -v ${name}))`).join('\n')
  }

  test('a kernel that only iptables-legacy can use', async () => {
    const script = failing(['nft', 'iptables-nft'], 'Failed to initialize nft: Protocol not supported')
    const done = await without(script, 'up', ...options)
    expectDone(done)
    expect(done.out).toMatch(/^set by iptables-legacy\n/)
    await pod.pod.order({ do: 'listen', host: '::', port: 15006 })
    expect(await pod.world.reach({ host: POD[4], port: 80 })).toBe(`15006 for ${POD[4]}:80`)
    expect((await without(script, 'down')).out).toBe('removed from iptables-legacy\n')
  })

  test('a kernel without NAT for IPv6: rules for IPv4, and a note', async () => {
    const ip6tables = join(temporaryFolder(), 'ip6tables')
    writeFileSync(ip6tables, '#!/bin/sh\necho "ip6tables-restore: unable to initialize table nat" >&2\nexit 3\n', {
      mode: 0o755,
    })
    // One program has all these names and looks which it is called by.
    const script = `${hide('nft')}\nmkdir -p /run/icpt && mount -t tmpfs none /run/icpt && cp -a /usr/sbin /run/icpt/ && rm /run/icpt/sbin/ip6tables-*-restore && cp ${ip6tables} /run/icpt/sbin/ip6tables-nft-restore && mount --bind /run/icpt/sbin /usr/sbin`
    const done = await without(script, 'up', '--backend', 'iptables-nft')
    expectDone(done)
    expect(done.err).toContain(
      'note: IPv6: no rules, so IPv6 connections go past the sidecar: ip6tables-restore: unable to initialize table nat',
    )
    await pod.pod.order({ do: 'listen', host: '::', port: 15001 })
    expect(await pod.pod.reach({ host: WORLD[4], port: 80 })).toBe(`15001 for ${WORLD[4]}:80`)
  })

  test('a container whose files cannot be written: without the lock of xtables', async () => {
    const done = await without('mount -t tmpfs -o ro none /run', 'up', '--backend', 'iptables-legacy')
    expectDone(done)
  })
})

test('with a sidecar file: ports, own ports and settings are its', async () => {
  await pod.pod.order({ do: 'listen', host: '::', port: 15001 })
  await pod.pod.order({ do: 'listen', host: '::', port: 15006 })
  await pod.pod.order({ do: 'listen', host: '::', port: 15090 })
  await pod.world.order({ do: 'listen', host: '::', port: 5432 })
  const file = join(temporaryFolder(), 'sidecar.yaml')
  writeFileSync(
    file,
    `admin: 127.0.0.1:15000
metrics: 0.0.0.0:15090
outbound: [{ listen: "[::]:15001", transparent: true }]
inbound: [{ listen: "[::]:15006", transparent: true, forward: 127.0.0.1:7000 }]
intercept: { outbound: { skipPorts: [5432] } }
`,
  )
  expectDone(await pod.intercept('up', '-c', file))
  expect(await pod.pod.reach({ host: WORLD[6], port: 80 })).toBe(`15001 for [${WORLD[6]}]:80`)
  expect(await pod.pod.reach({ host: WORLD[4], port: 5432 })).toBe('direct 5432')
  expect(await pod.world.reach({ host: POD[4], port: 80 })).toBe(`15006 for ${POD[4]}:80`)
  expect(await pod.world.reach({ host: POD[4], port: 15_090 })).toBe('direct 15090')
  expectDone(await pod.intercept('show', '-c', file))
  expect((await pod.intercept('show', '-c', file, '--skip-outbound-ports', 'none')).code).toBe(3)
})
