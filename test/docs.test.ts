import { globSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import type { Command } from 'commander'
import { describe, expect, test } from 'vitest'
import { everything } from '../cli/commands.ts'
import { retryConditions } from '../mesh-config/retries.ts'
import { type SchemaNode, schemaOf } from '../mesh-config/schema.ts'
import { adminPages, type PageFacts } from '../proxy/admin/pages.ts'
import { guards } from '../proxy/codec/h2/options.ts'
import { failures } from '../proxy/core/failure.ts'
import { grpcConditions } from '../proxy/forward/grpc-retry.ts'
import { valueRows } from '../scripts/chart.ts'
import { failuresPage } from '../scripts/failures.ts'
import { metricsPage } from '../scripts/metrics.ts'

/**
 * What the pages say exists, exists: files, failures, metrics, admin pages, commands, settings, links. A page that
 * became wrong fails here, by name.
 */

const root = resolve(import.meta.dirname, '..')
/**
 * All pages: their files, links and commands are looked at. Names in code are looked at in those about the proxy
 * itself.
 */
const pages = globSync('{*.md,docs/**/*.md,examples/**/*.md,bench/*.md,deploy/**/*.md}', { cwd: root }).sort()

const ownPages = pages.filter(page => !/^(examples|bench)\//.test(page))

/** A page without its comments: what a reader sees. */
function textOf(page: string): string {
  return readFileSync(join(root, page), 'utf8').replace(/<!--[\s\S]*?-->/g, '')
}

/** What stands between backticks in running text. */
function codeOf(page: string): string[] {
  const prose = textOf(page).replace(/^```[\s\S]*?^```$/gm, '')
  return [...prose.matchAll(/`([^`\n]+)`/g)].map(([, code]) => code!)
}

/** Commands: lines of code blocks, and inline code. */
function linesOf(page: string): string[] {
  const blocks = [...textOf(page).matchAll(/^```[\w ]*\n([\s\S]*?)^```$/gm)].flatMap(([, block]) =>
    block!.replaceAll('\\\n', ' ').split('\n'),
  )
  return [...blocks, ...codeOf(page)]
}

function exists(path: string): boolean {
  return statSync(join(root, path), { throwIfNoEntry: false }) !== undefined
}

/** `page: name` of each name that is not known. */
function unknown(
  find: (page: string) => Iterable<string>,
  isKnown: (name: string) => boolean,
  among = pages,
): string[] {
  return among.flatMap(page => [...new Set(find(page))].filter(name => !isKnown(name)).map(name => `${page}: ${name}`))
}

const path =
  /(?<![\w./:-])(?:bin|bench|cli|docs|examples|mesh-config|proxy|scripts|test)\/(?:[\w.-]+\/)*[\w-]*(?:\.\w+)*(?![\w/<])/g
/** What the bench writes. */
const written = /^(bench\/results\/|docs\/bench\.svg$)/

test('every file that is named is there', () => {
  const named = (page: string) =>
    [...textOf(page).matchAll(path)].map(([name]) => name).filter(name => !written.test(name))
  expect(pages.flatMap(named).length).toBeGreaterThan(100)
  expect(unknown(named, exists)).toEqual([])
})

test('every link leads somewhere, to a heading too', () => {
  const broken = pages.flatMap(page => {
    const links = [...textOf(page).matchAll(/\]\(([^()\s]+)\)/g)]
      .map(([, link]) => link!)
      .filter(link => !/^(https?|mailto):/.test(link))
    return links.filter(link => !leadsSomewhere(page, link)).map(link => `${page}: ${link}`)
  })
  expect(broken).toEqual([])
})

function leadsSomewhere(page: string, link: string): boolean {
  const [file = '', anchor] = link.split('#')
  const target = file === '' ? page : relative(root, resolve(root, dirname(page), file))
  if (!exists(target)) return false
  return anchor === undefined || headings(target).includes(anchor)
}

/** As GitHub makes anchors of them. */
function headings(page: string): string[] {
  return [...textOf(page).matchAll(/^#+ (.+)$/gm)].map(([, title]) => anchorOf(title!))
}

function anchorOf(title: string): string {
  const plain = title.replace(/[`*]/g, '').toLowerCase()
  return plain.replace(/[^\w\s-]/g, '').replaceAll(' ', '-')
}

describe('names', () => {
  const rows = Object.values(failures)
  const conditions = new Set([...rows.map(({ condition }) => condition), ...retryConditions])
  /** Words with hyphens that are neither a failure nor a retry condition. */
  const others =
    /^(x-[\w-]+|(proxy|service)-(defaults|resolver|router|splitter|intentions)|order-by-locality|ip6?tables-(nft|legacy|restore|save)|envoy-ratelimited|outrigger-(agent|h2|names|reason|source|failure)|connection|keep-alive|100-continue|maybe-sent|transfer-encoding|content-length|grpc-(retry-pushback-ms|previous-rpc-attempts|timeout|status|message)|endpoint-load-metrics(-bin)?|mesh-config|kebab-case\.ts)$/

  test('failures and retry conditions', () => {
    const known = new Set<string | null>([
      ...rows.map(({ failure }) => failure),
      ...conditions,
      ...guards,
      ...Object.values(grpcConditions),
    ])
    const named = (page: string) =>
      codeOf(page).filter(code => /^[a-z]+(-[a-z0-9]+)+$/.test(code) && !others.test(code))
    expect(pages.flatMap(named).length).toBeGreaterThan(20)
    expect(unknown(named, name => known.has(name), ownPages)).toEqual([])
  })

  test('flags: each that can be met is in the table of symptoms', () => {
    const symptoms = textOf('docs/operations.md').split('## Troubleshooting by symptom')[1]!
    const met = new Set(
      rows
        .filter(({ failure }) => !['no-cluster', 'refused-stream', 'goaway-unprocessed'].includes(failure))
        .map(({ flag }) => flag),
    )
    expect([...met].filter(flag => !new RegExp(`\\b${flag}\\b`).test(symptoms))).toEqual([])
  })

  test('metrics: each is in docs/metrics.md, which is compared with a running proxy', () => {
    const known = new Set(
      [...textOf('docs/metrics.md').matchAll(/^\| `(\w+)` \| (?:counter|gauge|histogram) /gm)].map(([, name]) => name!),
    )
    const named = (page: string) =>
      [...textOf(page).matchAll(/\b(?:outrigger|http_request|process|nodejs)s?_[a-z0-9_]+\b/g)].map(([name]) =>
        name.replace(/_(bucket|sum|count)$/, ''),
      )
    // The changelog says what it is called now; issue 14 brings the gauge that a rule waits for.
    const others = ['http_request_duration_seconds', 'outrigger_certificate_expiry_seconds']
    expect(unknown(named, name => known.has(name) || others.includes(name), ownPages)).toEqual([])
  })

  const admin = adminPages({} as PageFacts).map(page => page.path)

  test('admin pages: each that is named is there, and each that is there is told of', () => {
    // `/outrigger` is a path in ZooKeeper.
    const example = new Set(['/orders', '/api', '/outrigger'])
    const ofAgent = [...textOf('agent/admin.ts').matchAll(/path === '(\/[a-z]+)'/g)].map(([, name]) => name!)
    expect(ofAgent).toContain('/status')
    const named = (page: string) => [
      ...codeOf(page).flatMap(code => /^(\/[a-z-]+)(?:\?.*)?$/.exec(code)?.[1] ?? []),
      ...linesOf(page).flatMap(line => [...line.matchAll(/127\.0\.0\.1:15000(\/[a-z-]*)/g)].map(([, name]) => name!)),
    ]
    expect(unknown(named, name => [...admin, ...ofAgent].includes(name) || example.has(name), ownPages)).toEqual([])
    expect(admin.filter(name => !textOf('docs/operations.md').includes(name))).toEqual([])
  })

  test('settings', () => {
    const keys = keysOf(schemaOf('sidecar'))
    const ofChart = new Set(valueRows().map(({ path }) => path))
    const named = (page: string) =>
      codeOf(page).filter(code =>
        /^(?:limits|timeouts|retries|outliers|balancer|discovery|drain|flights|accessLog)\.[\w.]+$/.test(code),
      )
    const isKnown = (name: string) =>
      ofChart.has(name) || name.split('.').every((key, i, all) => i === 0 || keys.has(`${all[i - 1]}.${key}`))
    expect(pages.flatMap(named).length).toBeGreaterThan(50)
    expect(unknown(named, isKnown)).toEqual([])
  })

  test('methods and constants of the code', () => {
    const sources = globSync('{proxy,mesh-config,cli,dev,inject,intercept,run}/**/*.ts', { cwd: root }).map(file =>
      readFileSync(join(root, file), 'utf8'),
    )
    const isKnown = (name: string) => {
      const [first, method] = name.split('.')
      if (method === undefined) return sources.some(source => new RegExp(`\\b${name}\\b`).test(source))
      return sources.some(
        source => new RegExp(`class ${first}\\b`).test(source) && new RegExp(`^  ${method}[(:]`, 'm').test(source),
      )
    }
    const named = (page: string) =>
      codeOf(page).filter(code => /^[A-Z][a-z]\w+\.[a-z]\w+$|^[A-Z]+(_[A-Z]+)+$/.test(code))
    expect(pages.flatMap(named).length).toBeGreaterThan(10)
    expect(unknown(named, isKnown, ownPages)).toEqual([])
  })
})

/** `parent.key` of every setting; lists and names of one's own do not count as a step. */
function keysOf(node: SchemaNode, parent = '', into = new Set<string>()): Set<string> {
  for (const [key, child] of Object.entries(node.properties ?? {})) {
    into.add(`${parent}.${key}`)
    keysOf(child, key, into)
  }
  for (const form of node.anyOf ?? []) keysOf(form, parent, into)
  if (node.items !== undefined) keysOf(node.items, parent, into)
  if (typeof node.additionalProperties === 'object') keysOf(node.additionalProperties, parent, into)
  return into
}

describe('commands', () => {
  test('every command and option of outrigger that is shown exists', async () => {
    const program = await everything('0')
    const called = (page: string) =>
      linesOf(page).flatMap(line =>
        // Of commands in a container, what runs there; a release of Helm may be called outrigger.
        [
          ...line
            .replace(/^helm .*|^kubectl .*?(?: -- |$)/, '')
            .matchAll(/\boutrigger(?:\.js)? ((?:[a-z]+|-)[^|#`&>]*)/g),
        ].map(([, args]) => args!.trim()),
      )
    expect(pages.flatMap(called).length).toBeGreaterThan(20)
    // Behind -- stands the command line of another program.
    const ownWords = (args: string) => args.split(/\s+--(?:\s|$)/)[0]!.split(/\s+/)
    expect(unknown(called, args => wrongWord(program, ownWords(args)) === null)).toEqual([])
  })

  test('every npm script that is shown exists', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>
    }
    const called = (page: string) =>
      linesOf(page).flatMap(line => [...line.matchAll(/\bnpm run ([\w:-]+)/g)].map(([, name]) => name!))
    expect(unknown(called, name => name in scripts)).toEqual([])
  })
})

/** The first word that is no command or option; null: all are. */
function wrongWord(command: Command, words: readonly string[]): string | null {
  const [first = '', ...rest] = words
  const inner = command.commands.find(each => each.name() === first)
  if (inner !== undefined) return wrongWord(inner, rest)
  const takesWords = command.registeredArguments.length > 0
  if (command.commands.length > 0 && !takesWords && first !== '' && !first.startsWith('-')) return first
  const known = ['-h', '--help', '-V', '--version', ...command.options.flatMap(({ short, long }) => [short, long])]
  // A lone - is standard input.
  return words.find(word => word.startsWith('-') && word !== '-' && !known.includes(word.split('=')[0])) ?? null
}

test('no page says "undefined" or "[object Object]" where a generator found nothing', () => {
  expect(
    pages.filter(page => /\bundefined\b|\[object Object\]/.test(textOf(page).replaceAll(/`[^`\n]*`/g, ''))),
  ).toEqual([])
})

test('the changelog knows the version of package.json, and the pages install that one', () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
  expect(textOf('CHANGELOG.md')).toMatch(new RegExp(`^## \\[${version}\\]`, 'm'))
  const named = pages.flatMap(page => [...textOf(page).matchAll(/outrigger-(\d[\w.-]*)\.tgz/g)].map(([, each]) => each))
  expect(new Set(named)).toEqual(new Set([version]))
})

test('README lists every page of docs', () => {
  const listed = pages
    .filter(page => /^docs\/[^/]+\.md$/.test(page))
    .filter(page => !textOf('README.md').includes(`](${page})`))
  expect(listed).toEqual([])
})

test('docs/metrics.md has each metric once', () => {
  const names = [...textOf('docs/metrics.md').matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, name]) => name!)
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([])
})

test('docs/failures.md is what the failure table says (npm run docs writes it)', () => {
  expect(textOf('docs/failures.md')).toBe(failuresPage().replace(/<!--[\s\S]*?-->/g, ''))
})

test('docs/metrics.md is what the table of metrics says (npm run docs writes it)', () => {
  expect(textOf('docs/metrics.md')).toBe(metricsPage().replace(/<!--[\s\S]*?-->/g, ''))
})

describe('decisions', () => {
  const decisions = pages.filter(page => /^docs\/decisions\/\d/.test(page))

  test('are numbered without gaps, short, of one form, and all in the index', () => {
    expect(decisions.map(page => Number(/\d{4}/.exec(page)![0]))).toEqual(decisions.map((_, i) => i + 1))
    for (const page of decisions) {
      const text = textOf(page)
      expect(text.split('\n').length, page).toBeLessThanOrEqual(61)
      expect([...text.matchAll(/^## (.+)$/gm)].map(([, title]) => title).slice(0, 3), page).toEqual([
        'Context',
        'Decision',
        'Consequences',
      ])
      expect(text, page).toMatch(new RegExp(`^# ${/\d{4}/.exec(page)![0]}: `))
    }
    const index = textOf('docs/decisions/README.md')
    expect(decisions.filter(page => !index.includes(`](${page.replace('docs/decisions/', '')})`))).toEqual([])
  })
})
