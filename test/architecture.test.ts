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
const parts = ['proxy', 'mesh-config', 'cli']
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

/** The files that join the parts: that is all they do. */
const isJoint = (file: string) =>
  /^proxy\/(corridor|data-thread|worker|main)\.ts$/.test(file) || file.startsWith('proxy/control/')

/** `proxy/pool/http1.ts` -> `proxy/pool/`. */
function partOf(file: string): string {
  return file.split('/').slice(0, -1).slice(0, 2).join('/')
}

test('the imports are found at all', () => {
  expect(files.length).toBeGreaterThan(80)
  expect(imports).toContainEqual({ from: 'proxy/pool/http1.ts', to: 'proxy/core/codec.ts', typeOnly: true })
  expect(imports).toContainEqual({ from: 'proxy/pool/http1.ts', to: 'proxy/core/failure.ts', typeOnly: false })
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

  test('nobody imports a joint but a joint, and the command line its way in', () => {
    const strays = imports.filter(({ from, to }) => isJoint(to) && !isJoint(from) && !from.startsWith('cli/'))
    expect(strays).toEqual([])
  })

  test('the corridor has room on one screen', () => {
    expect(source.get('proxy/corridor.ts')!.split('\n').length).toBeLessThanOrEqual(100)
  })
})

describe('there is no cycle of imports', () => {
  /** Where even imports of types form no circle, so that each file can be read before those that use it. */
  const strict = (file: string) => /^(?:mesh-config|proxy\/cluster)\//.test(file)

  test('that is there when the program runs', () => {
    expect(cyclesOf(imports.filter(({ typeOnly }) => !typeOnly))).toEqual([])
  })

  test('of types either, in the parts that keep to it', () => {
    expect(cyclesOf(imports.filter(({ from, to }) => strict(from) && strict(to)))).toEqual([])
  })
})

function cyclesOf(edges: readonly Import[]): string[] {
  const next = new Map<string, string[]>()
  for (const { from, to } of edges) if (isOurs(to)) next.set(from, [...(next.get(from) ?? []), to])
  const state = new Map<string, 'open' | 'done'>()
  const cycles: string[] = []
  function visit(file: string, way: readonly string[]): void {
    if (state.get(file) === 'done') return
    if (state.get(file) === 'open') {
      cycles.push([...way.slice(way.indexOf(file)), file].join(' -> '))
      return
    }
    state.set(file, 'open')
    for (const to of next.get(file) ?? []) visit(to, [...way, file])
    state.set(file, 'done')
  }
  for (const file of files) visit(file, [])
  return cycles
}

describe('vendor packages', () => {
  /** In how many files each may be: one, so that replacing it touches one file, unless there is a reason. */
  const allowed: Readonly<Record<string, number>> = {
    // The schema is written in it: each part of the two documents is a file, and values.ts is what they share.
    zod: 9,
    // A command a file.
    commander: 20,
    // One checks a pattern when the file is read, one runs it on a data thread.
    re2js: 2,
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

  test.each([...users])('%s is imported in as few files as it needs', (name, importers) => {
    expect([...importers].length, [...importers].join(', ')).toBeLessThanOrEqual(allowed[name] ?? 1)
  })

  test('none of them is on a request’s way', () => {
    const onTheWay =
      /^proxy\/(core|listener|codec|filter|router|balancer|cluster|health|pool|forward|system|corridor|data-thread|worker)/
    const strays = imports.filter(({ from, to }) => onTheWay.test(from) && !isOurs(to) && !to.startsWith('node:'))
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
