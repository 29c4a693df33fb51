import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { describe, expect, test } from 'vitest'

/** Reads every import of the program, and fails where the house is not built as design.md section 4 draws it. */

interface Import {
  readonly from: string
  /** A file of ours, as a path from the root; or a package. */
  readonly to: string
  readonly typeOnly: boolean
}

const root = join(import.meta.dirname, '..')
const parts = ['proxy', 'agent', 'mesh-config', 'cli', 'dev', 'propagate', 'intercept', 'run', 'inject']
const files = parts.flatMap(part =>
  readdirSync(join(root, part), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts') && !name.endsWith('.d.ts'))
    .map(name => join(part, name)),
)
const source = new Map(files.map(file => [file, readFileSync(join(root, file), 'utf8')]))

const IMPORT = /^\s*(?:import|export)\s+(type\s+)?(?:([\w*$\s{},]+?)\s+from\s+)?'([^']+)'|import\('([^']+)'\)/gm

const imports: Import[] = files.flatMap(from =>
  [...source.get(from)!.matchAll(IMPORT)].map(match => {
    const target = match[3] ?? match[4]!
    const to = target.startsWith('.') ? relative(root, join(root, dirname(from), target)) : target
    const names = match[2]?.replace(/[{}]/g, '').split(',')
    const typeOnly = match[1] !== undefined || (names?.every(name => /^\s*(type\s.*)?$/s.test(name)) ?? false)
    return { from, to, typeOnly }
  }),
)

const isOurs = (to: string) => parts.some(part => to.startsWith(`${part}/`))

/** The files that join several parts: that is all they do, and each is named here. */
const joints = new Set([
  'proxy/main.ts',
  'proxy/worker.ts',
  'proxy/data-thread.ts',
  'proxy/corridor.ts',
  // Snapshot to runtime.
  'proxy/runtime/apply.ts',
  'proxy/runtime/services.ts',
  'proxy/runtime/pools-of.ts',
  'proxy/runtime/request-router.ts',
  'proxy/runtime/service-routes.ts',
  'proxy/runtime/retry-policy.ts',
  'proxy/runtime/tcp-routes.ts',
  'proxy/runtime/by-address.ts',
  'proxy/runtime/originals.ts',
  'proxy/runtime/own-connections.ts',
  'proxy/runtime/regex.ts',
  // Listeners, and what becomes of exchanges.
  'proxy/runtime/listeners.ts',
  'proxy/runtime/open-listener.ts',
  'proxy/runtime/discover.ts',
  'proxy/runtime/records.ts',
  'proxy/runtime/lag.ts',
  // What the control thread says and asks.
  'proxy/runtime/receive.ts',
  'proxy/runtime/endpoints-view.ts',
  'proxy/runtime/explain.ts',
  'proxy/runtime/explain-words.ts',
  'proxy/runtime/explain-steps.ts',
  'proxy/runtime/explain-calls.ts',
  // The control thread: its parts, what is said of it, discovery, ports.
  'proxy/control/sidecar.ts',
  'proxy/control/agent.ts',
  'proxy/control/agent-view.ts',
  'proxy/control/said.ts',
  'proxy/control/span-export.ts',
  'proxy/control/facts.ts',
  'proxy/control/own-ports.ts',
  'proxy/control/name-service.ts',
  'proxy/control/registering.ts',
  'proxy/control/watched-services.ts',
  // Checks: of endpoints, and of the application.
  'proxy/control/active-checks.ts',
  'proxy/control/check-application.ts',
  'proxy/control/service-sources.ts',
  'proxy/control/consul-link.ts',
  'proxy/control/look-up.ts',
  'proxy/control/kubernetes-link.ts',
  'proxy/control/on-demand-registry.ts',
  'proxy/control/port-claims.ts',
  // The socket that the supervisor left in this process.
  'proxy/control/supervised.ts',
  // Taking over from another process.
  'proxy/control/inherit.ts',
  'proxy/control/inherited.ts',
  'proxy/control/service-manager.ts',
])
const isJoint = (file: string) => joints.has(file)

/** `proxy/pool/http1.ts` -> `proxy/pool/`. */
function partOf(file: string): string {
  return file.split('/').slice(0, -1).slice(0, 2).join('/')
}

test('the imports are found at all', () => {
  expect(files.length).toBeGreaterThan(80)
  expect(imports).toContainEqual({ from: 'proxy/pool/http1.ts', to: 'proxy/core/codec.ts', typeOnly: true })
  expect(imports).toContainEqual({ from: 'proxy/pool/dial.ts', to: 'proxy/core/failure.ts', typeOnly: false })
  expect(imports.some(({ to }) => to === 'zod')).toBe(true)
})

describe('the star', () => {
  test('a part of the proxy imports mesh-config, proxy/core and itself', () => {
    const strays = imports.filter(({ from, to }) => {
      if (!from.startsWith('proxy/') || isJoint(from) || !isOurs(to)) return false
      if (partOf(from) === partOf(to)) return false
      return !to.startsWith('proxy/core/') && !to.startsWith('mesh-config/')
    })
    expect(strays.map(({ from, to }) => `${from} imports ${to}`)).toEqual([])
  })

  test('core imports mesh-config and itself', () => {
    const strays = imports.filter(
      ({ from, to }) => from.startsWith('proxy/core/') && isOurs(to) && !/^(proxy\/core|mesh-config)\//.test(to),
    )
    expect(strays).toEqual([])
  })

  test('core is nouns: it takes nothing of mesh-config but types', () => {
    const values = imports.filter(
      ({ from, to, typeOnly }) => from.startsWith('proxy/core/') && to.startsWith('mesh-config/') && !typeOnly,
    )
    expect(values).toEqual([])
  })

  test('mesh-config imports itself', () => {
    const strays = imports.filter(
      ({ from, to }) => from.startsWith('mesh-config/') && isOurs(to) && !to.startsWith('mesh-config/'),
    )
    expect(strays).toEqual([])
  })

  test('a joint is imported by the threads’ own files, and by the command line as its way in', () => {
    const mayImport = (from: string) =>
      isJoint(from) || /^proxy\/(control|runtime)\//.test(from) || from.startsWith('cli/')
    expect(imports.filter(({ from, to }) => isJoint(to) && !mayImport(from))).toEqual([])
  })

  test('each joint is there, and joins', () => {
    const isOther = (from: string, to: string) =>
      to.startsWith('proxy/') && partOf(to) !== partOf(from) && !to.startsWith('proxy/core/')
    const idle = [...joints].filter(joint => !imports.some(({ from, to }) => from === joint && isOther(from, to)))
    expect(idle).toEqual([])
  })

  test('the corridor has room on one screen', () => {
    expect(source.get('proxy/corridor.ts')!.split('\n').length).toBeLessThanOrEqual(100)
  })
})

describe('the agent', () => {
  test('imports mesh-config and itself, and the proxy does not import it', () => {
    const strays = imports.filter(
      ({ from, to }) =>
        isOurs(to) &&
        ((from.startsWith('agent/') && !/^(agent|mesh-config)\//.test(to)) ||
          (from.startsWith('proxy/') && to.startsWith('agent/'))),
    )
    expect(strays).toEqual([])
  })

  test('its parts do not import each other: main.ts joins them', () => {
    const strays = imports.filter(
      ({ from, to }) =>
        /^agent\/\w+\//.test(from) &&
        /^agent\/\w+\//.test(to) &&
        partOf(from) !== partOf(to) &&
        to !== 'agent/sync/protos.ts',
    )
    expect(strays).toEqual([])
  })
})

describe('dev', () => {
  test('imports mesh-config and itself: it starts the others as processes', () => {
    const strays = imports.filter(
      ({ from, to }) => from.startsWith('dev/') && isOurs(to) && !/^(dev|mesh-config)\//.test(to),
    )
    expect(strays).toEqual([])
  })
})

describe('run', () => {
  test('is small: it imports Node, mesh-config and itself, and the command line hands in the rest', () => {
    const strays = imports.filter(
      ({ from, to }) =>
        (from.startsWith('run/') && !/^(run\/|mesh-config\/|node:)/.test(to)) ||
        (to.startsWith('run/') && !/^(run|cli)\//.test(from)),
    )
    expect(strays).toEqual([])
  })
})

describe('inject', () => {
  test('imports mesh-config and itself', () => {
    const strays = imports.filter(
      ({ from, to }) => from.startsWith('inject/') && isOurs(to) && !/^(inject|mesh-config)\//.test(to),
    )
    expect(strays).toEqual([])
  })
})

describe('propagate', () => {
  test('is loaded by applications: it imports Node and itself, and nothing of ours imports it', () => {
    const strays = imports.filter(
      ({ from, to }) =>
        (from.startsWith('propagate/') && !/^(propagate\/|node:)/.test(to)) ||
        (!from.startsWith('propagate/') && to.startsWith('propagate/')),
    )
    expect(strays).toEqual([])
  })
})

describe('two threads', () => {
  const rooms = ['proxy/control/', 'proxy/runtime/'] as const

  test.each(rooms)('%s imports nothing of the other one, not even a type', room => {
    const other = rooms.find(each => each !== room)!
    expect(imports.filter(({ from, to }) => from.startsWith(room) && to.startsWith(other))).toEqual([])
  })

  // And HTTP/2: the control thread speaks it with the agent, because the libraries for it would take half as much memory
  // again as the whole proxy (design section 3). It is loaded when an agent is there.
  test('what both run is nouns, documents, the system and HTTP/2', () => {
    const onControl = reachableFrom('proxy/main.ts')
    const both = [...reachableFrom('proxy/worker.ts')].filter(file => onControl.has(file))
    expect(both.filter(file => !/^(mesh-config|proxy\/core|proxy\/system|proxy\/codec)\//.test(file))).toEqual([])
  })

  /** What runs with a file: the types that it imports do not. */
  function reachableFrom(entry: string): ReadonlySet<string> {
    const found = new Set([entry])
    // A set grows under its iterator, which goes on to what was added.
    for (const file of found)
      for (const { from, to, typeOnly } of imports) if (from === file && isOurs(to) && !typeOnly) found.add(to)
    return found
  }
})

/** Each way back to a file that imports lead to, as `a.ts -> b.ts -> a.ts`. */
function cyclesOf(among: readonly Import[]): string[] {
  const targets = new Map<string, string[]>()
  for (const { from, to } of among) if (isOurs(to)) targets.set(from, [...(targets.get(from) ?? []), to])
  const state = new Map<string, 'open' | 'done'>()
  const cycles: string[] = []
  function visit(file: string, way: readonly string[]): void {
    if (state.get(file) === 'done') return
    if (state.get(file) === 'open') {
      cycles.push([...way.slice(way.indexOf(file)), file].join(' -> '))
      return
    }
    state.set(file, 'open')
    for (const next of targets.get(file) ?? []) visit(next, [...way, file])
    state.set(file, 'done')
  }
  for (const file of files) visit(file, [])
  return cycles
}

describe('there is no cycle of imports', () => {
  /** Nouns know each other: an exchange has a route, whose filters see the exchange. */
  const areNouns = (from: string, to: string) => from.startsWith('proxy/core/') && to.startsWith('proxy/core/')

  test('that is there when the program runs', () => {
    expect(cyclesOf(imports.filter(({ typeOnly }) => !typeOnly))).toEqual([])
  })

  test('of types either, so that each file can be read before those that use it', () => {
    expect(cyclesOf(imports.filter(({ from, to }) => !areNouns(from, to)))).toEqual([])
  })
})

test('neither codec knows the other: heads tell what translation needs, and proxy/codec/hop/ is between them', () => {
  const strays = imports.filter(
    ({ from, to }) =>
      (from.startsWith('proxy/codec/h1/') && to.startsWith('proxy/codec/h2/')) ||
      (from.startsWith('proxy/codec/h2/') && to.startsWith('proxy/codec/h1/')),
  )
  expect(strays).toEqual([])
})

describe('vendor packages', () => {
  /** The one file of each, so that replacing it touches one file; a folder only where the package is its language. */
  const homes: Readonly<Record<string, readonly string[]>> = {
    // The schema is written in it.
    zod: ['mesh-config/'],
    // A command a file.
    commander: ['cli/'],
    // The agent's server, and the command line as its client.
    '@grpc/grpc-js': ['agent/', 'cli/ask-agent.ts'],
    '@grpc/proto-loader': ['agent/sync/protos.ts'],
    picocolors: ['cli/colours.ts'],
    // Injection edits manifests between their nodes.
    yaml: [
      'mesh-config/load.ts',
      // And lint does the same to the files of users.
      'mesh-config/yaml-edits.ts',
      'mesh-config/yaml-nodes.ts',
      'inject/manifest-nodes.ts',
      'inject/write-edits.ts',
      'inject/write-undo.ts',
      'inject/yaml-values.ts',
    ],
    // One checks a pattern when the file is read, one runs it on a data thread.
    re2js: ['mesh-config/regex.ts', 'proxy/runtime/regex.ts'],
    consul: ['proxy/discovery/consul/client.ts'],
    'prom-client': ['proxy/telemetry/prometheus.ts', 'agent/metrics.ts'],
  }
  const users = new Map<string, Set<string>>()
  for (const { from, to } of imports) {
    if (isOurs(to) || to.startsWith('node:')) continue
    const name = to
      .split('/')
      .slice(0, to.startsWith('@') ? 2 : 1)
      .join('/')
    users.set(name, (users.get(name) ?? new Set()).add(from))
  }

  test('each is imported at home only, and each home is lived in', () => {
    const strays = [...users].flatMap(([name, importers]) =>
      [...importers].filter(file => !homes[name]?.some(home => file.startsWith(home))).map(file => `${file}: ${name}`),
    )
    expect(strays).toEqual([])
    const empty = Object.entries(homes).flatMap(([name, own]) =>
      own.filter(home => ![...(users.get(name) ?? [])].some(file => file.startsWith(home))),
    )
    expect(empty).toEqual([])
  })

  test('none of them is on a request’s way', () => {
    const onTheWay =
      /^proxy\/(core|listener|codec|filter|router|balancer|cluster|health|pool|forward|tcp|system|corridor|data-thread|worker|runtime)/
    const strays = imports.filter(
      ({ from, to }) => onTheWay.test(from) && !isOurs(to) && !to.startsWith('node:') && !homes[to]?.includes(from),
    )
    expect(strays).toEqual([])
  })

  test('each is in package.json', () => {
    const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      dependencies: Record<string, string>
    }
    expect(Object.keys(dependencies)).toEqual(expect.arrayContaining([...users.keys()]))
  })
})

describe('time, chance and the wire are handed in', () => {
  const forbidden: [string, RegExp][] = [
    ['Date.now', /\bDate\.now\b/],
    ['new Date()', /\bnew Date\(\)/],
    ['performance', /\bperformance\b/],
    ['timers', /\b(?:setTimeout|setInterval|setImmediate|queueMicrotask)\b|\bprocess\.nextTick\b/],
    ['Math.random', /\bMath\.random\b/],
    ['randomness', /\brandomUUID\b|\brandomBytes\b|\bgetRandomValues\b/],
    ['sockets', /'node:(?:net|tls|dns|dgram|timers|http2)'/],
  ]
  /** The control side has I/O of its own: an admin server, watched files, threads. It is no part of the data plane. */
  const dataPlane = (file: string) =>
    file.startsWith('proxy/') && !/^proxy\/(?:system|control|admin|main\.ts|telemetry)/.test(file)
  const control = (file: string) => /^proxy\/(?:control|admin|telemetry)\//.test(file) || file === 'proxy/main.ts'

  /** Without comments and texts, which may speak of anything. */
  const code = (file: string) =>
    source
      .get(file)!
      .replace(/\/\*[\s\S]*?\*\//g, '')
      .replace(/^\s*\/\/.*$/gm, '')

  test.each(forbidden)('nothing on the data plane but proxy/system takes %s', (_name, pattern) => {
    const found = files.filter(dataPlane).filter(file => pattern.test(code(file)))
    expect(found).toEqual([])
  })

  test('nor does the control side, but through its own doors', () => {
    const pattern =
      /\bDate\.now\b|\bperformance\.now\b|\b(?:setTimeout|setInterval|setImmediate)\(|\bMath\.random\b|'node:(?:net|tls|dns)'/
    expect(files.filter(control).filter(file => pattern.test(code(file)))).toEqual([])
  })
})

describe('files', () => {
  test.each(files)('%s has no more than 400 lines, and no default export', file => {
    const text = source.get(file)!
    expect(text.split('\n').length).toBeLessThanOrEqual(401)
    expect(text).not.toMatch(/^export default\b/m)
  })

  test('none is a barrel', () => {
    expect(files.filter(file => /(^|\/)index\.ts$/.test(file))).toEqual([])
  })

  test('names are in kebab-case', () => {
    expect(files.filter(file => !/^[a-z0-9-]+(\/[a-z0-9-]+)*\.ts$/.test(file))).toEqual([])
  })
})
