import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { configPage } from '../../proxy/admin/config.ts'
import { endpointsPage } from '../../proxy/admin/endpoints.ts'
import { explainPage } from '../../proxy/admin/explain.ts'
import { flightsPage } from '../../proxy/admin/flights.ts'
import { href, html } from '../../proxy/admin/html/markup.ts'
import { logLevelPage } from '../../proxy/admin/log-level.ts'
import { errorAnswer } from '../../proxy/admin/page.ts'
import type { Page } from '../../proxy/admin/page-types.ts'
import { readyPage } from '../../proxy/admin/ready.ts'
import { startPage, unknownPage } from '../../proxy/admin/start-page.ts'
import type { Answer, ExplainAnswer, FlightView } from '../../proxy/core/channel.ts'
import { ask, attemptView, endpoint, flightView, service, threads } from '../support/pages.ts'

/** The pages as a browser gets them: nothing from outside is markup, and what is shown can be followed. */

const hostile = `"><script>alert(1)</script><b onclick='x'>&amp;\u001b[2J\u202e\n9.9.9.9:1`

/** The same thing with every text in it hostile. */
function poisoned<Value>(value: Value): Value {
  if (typeof value === 'string') return hostile as Value
  if (Array.isArray(value)) return value.map(poisoned) as Value
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, poisoned(each)])) as Value
}

const poisonedFlight = (over: Partial<FlightView> = {}): FlightView => ({
  ...poisoned(flightView({ attempts: [attemptView(), attemptView()] })),
  protocol: 'http/1.1',
  ...over,
})
const about = () => hostile
const explained: ExplainAnswer = {
  record: poisonedFlight(),
  steps: [{ stage: hostile, text: `${hostile}\n${hostile}` }],
  error: '',
}
const poisonedEndpoints: Answer = {
  services: service(
    hostile,
    [
      {
        ...endpoint(hostile),
        metadata: { [hostile]: hostile },
        zone: hostile,
        health: hostile,
        healthReason: hostile,
        reason: hostile,
        protocol: hostile,
      },
    ],
    [hostile],
  ).services,
}
const sources = [
  {
    name: hostile,
    endpoints: 1,
    known: 1,
    fixed: 0,
    sources: [
      { name: hostile, state: 'stale' as const, ageMs: 1, trouble: hostile, endpoints: 1, suspects: 1, fromDisk: true },
    ],
  },
]
const config = poisoned({
  version: '',
  inForceSince: '',
  files: [''],
  warnings: [''],
  lastErrors: [''],
  needsRestart: [''],
  effectiveJson: '',
  effectiveText: '',
})

const pages: readonly (readonly [string, Page, string])[] = [
  ['endpoints', endpointsPage(threads([poisonedEndpoints, null]), () => sources), ''],
  [
    'endpoints of a filter',
    endpointsPage(threads([poisonedEndpoints]), () => sources),
    `service=${encodeURIComponent(hostile)}&zone=${encodeURIComponent(hostile)}`,
  ],
  [
    'endpoints with a wrong filter',
    endpointsPage(threads([poisonedEndpoints]), () => sources),
    `sort=${encodeURIComponent(hostile)}`,
  ],
  ['flights', flightsPage(threads([{ flights: [poisonedFlight(), poisonedFlight({ protocol: 'tcp' })] }])), ''],
  [
    'flights of a filter',
    flightsPage(threads([{ flights: [] }])),
    `service=${encodeURIComponent(hostile)}&endpoint=${encodeURIComponent(hostile)}&id=${encodeURIComponent(hostile)}`,
  ],
  [
    'explain',
    explainPage(threads([explained])),
    `url=${encodeURIComponent(hostile)}&method=${encodeURIComponent(hostile)}&header=${encodeURIComponent(`a:${hostile}`)}&listener=${encodeURIComponent(hostile)}`,
  ],
  ['explain of what is wrong', explainPage(threads([{ record: null, steps: [], error: hostile }])), 'url=x'],
  ['config', configPage(() => Promise.resolve(config)), ''],
  [
    'ready',
    readyPage(
      () => ({ ready: false, reason: hostile, checks: [{ name: hostile, state: 'fail', text: hostile }] }),
      () => Promise.resolve({ ready: true, reason: '' }),
    ),
    '',
  ],
  ['log level', logLevelPage({ level: () => 'info', setLevel() {} }), ''],
  ['start', startPage(about, () => pages.map(([, page]) => page)), ''],
  ['unknown', { path: '/x', methods: ['GET'], shows: '', answer: request => unknownPage(request, hostile, []) }, ''],
  ['error', { path: '/x', methods: ['GET'], shows: '', answer: request => errorAnswer(request, 500, hostile) }, ''],
]

describe.each(pages)('%s', (_name, page, search) => {
  test('shows what comes from outside as text', async () => {
    const { body } = await ask(page, search, 'html')
    expect(body).not.toMatch(/<script|<b onclick|\u001b|\u202e/)
    expect(body.match(/<[^>]*"><script/)).toBeNull()
    // A line end is shown, and begins no line; but in the lines that the proxy itself put together.
    expect(body.replaceAll(/<pre>[\s\S]*?<\/pre>/g, '')).not.toMatch(/^\s*9\.9\.9\.9:1/m)
  })

  test('allows one stylesheet, by its hash, and nothing else', async () => {
    const { policy, body } = await ask(page, search, 'html')
    expect(policy).toMatch(
      /^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]+'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'$/,
    )
    expect(body).not.toMatch(/ style=|<link|<img|javascript:/)
  })
})

describe('html', () => {
  test('escapes values, keeps what it made itself, and leaves out what is not there', () => {
    expect(html`<p title="${'"'}">${['a<', html`<b>${1}</b>`, null]}${false}</p>`.text).toBe(
      '<p title="&#34;">a&#60;<b>1</b></p>',
    )
  })

  test('a link has its parameters encoded, and those that are null left out', () => {
    expect(href('/flights', { endpoint: '[::1]:80&x', service: null })).toBe('/flights?endpoint=%5B%3A%3A1%5D%3A80%26x')
  })
})

describe('from one page to the next', () => {
  const linksOf = async (page: Page, search = '') =>
    [...(await ask(page, search, 'html')).body.matchAll(/href="([^"]*)"/g)].map(([, link]) =>
      link!.replaceAll('&#38;', '&'),
    )

  test('an endpoint leads to its flights, its service to explain', async () => {
    const links = await linksOf(endpointsPage(threads([service('orders', [endpoint('10.0.0.1:80')])]), () => []))
    expect(links).toEqual(
      expect.arrayContaining([
        '/flights?endpoint=10.0.0.1%3A80',
        '/flights?service=orders',
        '/explain?url=http%3A%2F%2Forders%2F',
        '/endpoints?service=orders',
      ]),
    )
  })

  test('a flight leads to its explanation, its endpoint and its service', async () => {
    const links = await linksOf(flightsPage(threads([{ flights: [flightView({ method: 'POST' })] }])))
    expect(links).toEqual(
      expect.arrayContaining([
        '/explain?method=POST&url=http%3A%2F%2Forders%2Fapi%2F1&listener=outbound+127.0.0.1%3A15001',
        '/flights?endpoint=127.0.0.1%3A9001',
        '/endpoints?service=orders',
      ]),
    )
  })

  test('refreshing is switched on and off by a link, and a filter keeps it', async () => {
    const page = flightsPage(threads([{ flights: [] }]))
    expect(await linksOf(page, 'service=a')).toContain('/flights?service=a&refresh=5')
    const { body } = await ask(page, 'service=a&refresh=5', 'html')
    expect(body).toContain('<meta http-equiv="refresh" content="5">')
    expect(body).toContain('<input type="hidden" name="refresh" value="5">')
    expect(await linksOf(page, 'service=a&refresh=5')).toContain('/flights?service=a')
    expect((await ask(page, 'refresh=0;url=//evil', 'html')).body).not.toContain('http-equiv')
  })
})

describe('what is not there says so', () => {
  test.each([
    ['no flights', flightsPage(threads([{ flights: [] }])), '', 'No requests yet.'],
    ['no failures', flightsPage(threads([{ flights: [] }])), 'failed=true', 'No request has failed.'],
    [
      'none like that',
      flightsPage(threads([{ flights: [] }])),
      'service=x',
      'No request that is still kept is like that.',
    ],
    ['no services', endpointsPage(threads([{ services: [] }]), () => []), '', 'No services are configured.'],
    [
      'no endpoints',
      endpointsPage(threads([service('orders', [])]), () => []),
      '',
      'None: requests are answered with 503 UH.',
    ],
    [
      'no such endpoints',
      endpointsPage(threads([service('orders', [endpoint('a:1')])]), () => []),
      'only=ejected',
      'None of them is like that.',
    ],
    ['no thread', flightsPage(threads([null])), '', 'did not answer in time'],
    ['no thread to explain', explainPage(threads([null])), 'url=/', 'did not answer in time'],
  ])('%s', async (_name, page, search, text) => {
    expect((await ask(page, search, 'html')).body).toContain(text)
  })
})

test('a form that was sent empty asks for everything', async () => {
  const page = endpointsPage(threads([service('orders', [endpoint('a:1')])]), () => [])
  expect((await ask(page, 'service=&zone=&only=&sort=&limit=', 'html')).body).toContain('a:1')
  expect(
    (await ask(flightsPage(threads([{ flights: [flightView()] }])), 'service=&endpoint=&id=&limit=', 'html')).body,
  ).toContain('/api/1')
})

test('a proxy that no browser asks loads none of it', () => {
  const folder = join(import.meta.dirname, '../../proxy/admin')
  const sources = readdirSync(folder).filter(name => name.endsWith('.ts'))
  const eager = sources.filter(name =>
    /^import (?!type\b)[^\n]*from '\.\/html\//m.test(readFileSync(join(folder, name), 'utf8')),
  )
  expect(eager).toEqual([])
})
