import { describe, expect, test } from 'vitest'
import { configPage } from '../../proxy/admin/config.ts'
import { drainPage } from '../../proxy/admin/drain.ts'
import { endpointsPage } from '../../proxy/admin/endpoints.ts'
import { explainPage } from '../../proxy/admin/explain.ts'
import { flightsPage } from '../../proxy/admin/flights.ts'
import { type LeaveOutcome, leavePage } from '../../proxy/admin/leave.ts'
import { logLevelPage } from '../../proxy/admin/log-level.ts'
import type { Page } from '../../proxy/admin/page-types.ts'
import { applicationPages, livePage, readyPage } from '../../proxy/admin/ready.ts'
import type { ExplainAnswer, FlightView, Question } from '../../proxy/core/channel.ts'
import type { LogLevel } from '../../proxy/core/log.ts'
import {
  ask,
  attemptView as attempt,
  endpoint,
  flightView as flight,
  json,
  service,
  threads,
} from '../support/pages.ts'

describe('data threads that do not answer', () => {
  test('all: 504, and where to look', async () => {
    const answer = await ask(endpointsPage(threads([null, null]), () => []))
    expect([answer.status, answer.body]).toEqual([
      504,
      expect.stringContaining('data threads 0, 1 did not answer in time'),
    ])
  })

  test('some: the others answer, and the page says what is missing', async () => {
    const page = endpointsPage(threads([null, service('orders', [endpoint('a:1')])]), () => [])
    const answer = await ask(page)
    expect(answer.status).toBe(200)
    expect(answer.body).toContain('(without data thread 0 did not answer in time)')
    expect(await json(page)).toMatchObject({ silentThreads: [0] })
  })

  test('none runs: 503', async () => {
    expect((await ask(flightsPage(threads([])))).status).toBe(503)
  })
})

describe('/flights', () => {
  test('a request that went well is one line', async () => {
    expect((await ask(flightsPage(threads([{ flights: [flight()] }])))).body).toBe(
      '07:08:09.045  200 -     12.5 ms  GET orders/api/1  ->  orders at 127.0.0.1:9001  id-1\n',
    )
  })

  test.each([
    [
      { method: 'CONNECT', authority: 'orders:443', path: 'orders:443' },
      'CONNECT orders:443  ->  orders at 127.0.0.1:9001  id-1',
    ],
    [
      { protocol: 'tcp', method: '', authority: 'api.example', path: '' },
      'TCP api.example  ->  orders at 127.0.0.1:9001  0 B in, 12 B out',
    ],
  ] as const)('a tunnel is told by where it leads: %j', async (asked, told) => {
    expect((await ask(flightsPage(threads([{ flights: [flight(asked)] }])))).body).toBe(
      `07:08:09.045  200 -     12.5 ms  ${told}\n`,
    )
  })

  test('one that did not has a line for each attempt and one for the reason', async () => {
    const refused = {
      failure: 'connect-refused',
      flag: 'UF',
      status: 0,
      detail: 'ECONNREFUSED',
      reusedConnection: false,
      headAfterMs: null,
      tookMs: 0.4,
    }
    const failed = flight({
      status: 503,
      flag: 'UF',
      failure: 'connect-refused',
      reason: 'the endpoint refused the connection',
      detail: 'ECONNREFUSED',
      attempts: [
        attempt({
          ...refused,
          way: ['priority 1', 'own zone'],
          compared: { load: 2, other: '127.0.0.1:9002', otherLoad: 3 },
          retry: 'yes: connect-failure',
        }),
        attempt({ ...refused, endpoint: '', policy: '', retry: 'no: the budget is spent' }),
      ],
    })
    expect((await ask(flightsPage(threads([{ flights: [failed] }])))).body).toBe(
      [
        '07:08:09.045  503 UF    12.5 ms  GET orders/api/1  ->  orders  id-1',
        '              1. 127.0.0.1:9001  UF connect-refused (ECONNREFUSED) after 0.40 ms, by least_request (priority 1, own zone): load 2 against 3 at 127.0.0.1:9002; yes: connect-failure',
        '              2. no endpoint  UF connect-refused (ECONNREFUSED) after 0.40 ms; no: the budget is spent',
        '              connect-refused: the endpoint refused the connection (ECONNREFUSED)',
        '',
      ].join('\n'),
    )
  })

  test('its trace is named where there is something to look up, and chooses it', async () => {
    const [first, second, third] = ['1', '2', '3'].map(digit => digit.repeat(32)) as [string, string, string]
    const page = flightsPage(
      threads([
        {
          flights: [
            flight({ requestId: 'one', traceId: first, recorded: 'ratio' }),
            flight({ requestId: 'two', traceId: second }),
            flight({ requestId: 'three', traceId: third, failure: 'connect-refused', flag: 'UF' }),
          ],
        },
      ]),
    )
    const { body } = await ask(page)
    expect(body).toContain(`one  trace ${first}\n`)
    expect(body).toContain('two\n')
    expect(body).toContain(`three  trace ${third}\n`)
    const { flights } = (await json(page, `id=${first}`)) as { flights: FlightView[] }
    expect(flights.map(({ requestId }) => requestId)).toEqual(['one'])
    const html = await ask(page, 'format=html')
    expect(html.body).toContain(`trace ${first}`)
    expect(html.body).not.toContain(second)
  })

  test('what a caller sent cannot forge a line', async () => {
    const { body } = await ask(flightsPage(threads([{ flights: [flight({ path: '/\n07:00 forged\u001b[2J' })] }])))
    expect(body.split('\n')).toHaveLength(2)
    expect(body).toContain('/\\x0A07:00 forged\\x1B[2J')
  })

  test('the threads are one list by time, oldest first; limited to the last ones, and to a service', async () => {
    const at = (time: string, name: string) => flight({ at: `2026-11-21T07:08:0${time}Z`, service: name })
    const page = flightsPage(
      threads([{ flights: [at('3.000', 'a'), at('1.000', 'b')] }, { flights: [at('2.000', 'a')] }]),
    )
    const services = async (search: string) =>
      ((await json(page, search)) as { flights: FlightView[] }).flights.map(
        each => `${each.at.slice(17, 19)} ${each.service}`,
      )
    expect(await services('')).toEqual(['01 b', '02 a', '03 a'])
    expect(await services('limit=2')).toEqual(['02 a', '03 a'])
    expect(await services('service=a&limit=1')).toEqual(['03 a'])
    expect((await ask(page, 'limit=many')).status).toBe(400)
  })

  test.each([
    ['', false],
    ['failed', true],
    ['failed=true', true],
    ['failed=false', false],
  ])('?%s asks for failed ones: %s', async (search, failedOnly) => {
    const asked: Question[] = []
    await ask(flightsPage(threads([{ flights: [] }], asked)), search)
    expect(asked).toEqual([{ what: 'flights', failedOnly }])
  })
})

describe('/explain', () => {
  const steps = [
    { stage: 'listener', text: 'outbound 127.0.0.1:15001, shared by all services' },
    { stage: 'service', text: 'orders: found by host "orders"' },
    { stage: 'balancer', text: 'least_request:\n2 active at 127.0.0.1:9001' },
  ]
  const explained: ExplainAnswer = { record: flight({ at: '', status: 0 }), steps, error: '' }

  test('reads as a tree that ends with what would happen', async () => {
    expect((await ask(explainPage(threads([explained])), 'url=http://orders/api/1')).body).toBe(
      [
        'GET orders/api/1',
        '│',
        '├─ listener  outbound 127.0.0.1:15001, shared by all services',
        '├─ service   orders: found by host "orders"',
        '├─ balancer  least_request:',
        '│            2 active at 127.0.0.1:9001',
        '│',
        '└─ would be sent to 127.0.0.1:9001 (orders)',
        '',
      ].join('\n'),
    )
  })

  test('a failure ends with what to do about it', async () => {
    const record = flight({
      status: 503,
      flag: 'UH',
      failure: 'no-healthy-upstream',
      reason: 'no endpoint may be used',
      remedy: 'see /endpoints',
      detail: 'all are ejected',
      attempts: [],
    })
    const { status, body } = await ask(explainPage(threads([{ record, steps: [], error: '' }])), 'url=/')
    expect(status).toBe(200)
    expect(body.split('\n').slice(-4)).toEqual([
      '└─ would be answered by the proxy: 503 UH, no endpoint may be used',
      '   detail:     all are ejected',
      '   what to do: see /endpoints',
      '',
    ])
  })

  test('the question reaches the data thread as it was meant', async () => {
    const asked: Question[] = []
    await ask(
      explainPage(threads([explained], asked)),
      'url=http://orders/api?a=1%26b=2&method=post&header=x-user:%207&header=x-tester:&listener=15001',
    )
    expect(asked).toEqual([
      {
        what: 'explain',
        method: 'POST',
        url: 'http://orders/api?a=1&b=2',
        headers: [
          ['x-user', '7'],
          ['x-tester', ''],
        ],
        listener: '15001',
      },
    ])
  })

  test.each([
    ['', 'say which request: give its url, for example /explain?'],
    ['url=/&header=nocolon', 'header=nocolon has no name: write header=name:value'],
  ])('?%s is 400 with what would be right', async (search, message) => {
    const answer = await ask(explainPage(threads([explained])), search)
    expect([answer.status, answer.body]).toEqual([400, expect.stringContaining(message)])
  })

  test('in a browser there is a form, filled in with what was asked; left empty it is no wrong question', async () => {
    const page = explainPage(threads([explained]))
    expect((await ask(page, '', 'html')).body).toMatch(/<form action="\/explain">.*name="url".*<\/form>/s)
    const { status, body } = await ask(page, 'url=http://orders/"><script>&method=&header=', 'html')
    expect(status).toBe(200)
    expect(body).toContain('value="http://orders/&#34;&#62;&#60;script&#62;"')
    expect(body).toContain('would be sent to 127.0.0.1:9001 (orders)')
    expect(body).not.toContain('<script>')
  })

  test('a wrong question keeps the form, and says what is wrong with it', async () => {
    const page = explainPage(threads([{ record: null, steps: [], error: '"garbage" is no URL' }]))
    const { status, body } = await ask(page, 'url=garbage&header=x:1', 'html')
    expect(status).toBe(400)
    for (const part of ['value="garbage"', 'value="x:1"', '&#34;garbage&#34; is no URL']) expect(body).toContain(part)
  })

  test('what the data thread says of a wrong question is passed on', async () => {
    const answer = await ask(
      explainPage(threads([{ record: null, steps: [], error: 'no listener is called "x"' }])),
      'url=/',
      'json',
    )
    expect([answer.status, JSON.parse(answer.body)]).toEqual([400, { error: 'no listener is called "x"' }])
  })

  test('with several data threads the first that answers speaks', async () => {
    expect(await json(explainPage(threads([null, explained])), 'url=/')).toMatchObject({
      thread: 1,
      record: { service: 'orders' },
    })
  })
})

describe('/ready and /live', () => {
  const readiness = () => ({
    ready: false,
    reason: 'draining',
    checks: [
      { name: 'data threads', state: 'ok', text: '1 of 1 running' },
      { name: 'last reload', state: 'warn', text: 'refused:\na.yaml:1:1: wrong' },
    ] as const,
  })
  const state = { ready: false, reason: 'it takes no connections' }
  const application = () => Promise.resolve(state)
  const page = readyPage(readiness, application)
  const up = () => ({ ready: true, reason: '', checks: [] })

  test('of the application too, where that is asked for', async () => {
    const both = readyPage(up, application)
    expect(await ask(both, '', null)).toMatchObject({ status: 200, body: 'ready\n' })
    expect(await ask(both, 'application', null)).toMatchObject({
      status: 503,
      body: 'not ready: it takes no connections\n',
    })
    expect(await ask(page, 'application', null)).toMatchObject({ body: 'not ready: draining\n' })
  })

  test.each([
    [true, 'not ready: it takes no connections\n', 'not live: it takes no connections\n'],
    [false, 'not ready\n', 'not live\n'],
  ])('probes of the application come through the sidecar; reasons: %s', async (reasons, ready, live) => {
    const [readyOf, liveOf] = applicationPages(up, application, reasons) as [Page, Page]
    expect(await ask(readyOf, '', null)).toMatchObject({ status: 503, body: ready })
    expect(await ask(liveOf, '', null)).toMatchObject({ status: 503, body: live })
    const [, alive] = applicationPages(readiness, () => Promise.resolve({ ready: true, reason: '' }), reasons) as [
      Page,
      Page,
    ]
    expect(await ask(alive, '', null)).toMatchObject({ status: 200, body: 'live\n' })
  })

  test('a probe gets a status and a line', async () => {
    expect(await ask(page, '', null)).toMatchObject({ status: 503, body: 'not ready: draining\n' })
    expect((await ask(page, '', 'json')).body).toBe('{\n  "ready": false,\n  "reason": "draining"\n}\n')
  })

  test('whoever asks why gets each check', async () => {
    expect((await ask(page, 'verbose', null)).body).toBe(
      [
        'not ready: draining',
        '  ok    data threads  1 of 1 running',
        '  warn  last reload   refused:',
        '                      a.yaml:1:1: wrong',
        '',
      ].join('\n'),
    )
    expect(JSON.parse((await ask(page, 'verbose', 'json')).body)).toMatchObject({
      ready: false,
      checks: [{ name: 'data threads' }, { state: 'warn' }],
    })
  })

  test('live is live', async () => {
    expect(await ask(livePage)).toMatchObject({ status: 200, body: 'live\n' })
  })
})

describe('/config', () => {
  const view = {
    version: 'abc',
    inForceSince: '2026-11-21T07:08:09.045Z',
    files: ['a.yaml', 'b.yaml'],
    warnings: ['a.yaml:2:1: odd'],
    lastErrors: ['b.yaml:1:1: bad'],
    needsRestart: ['workers 1 -> 2'],
  }
  const page = configPage(() =>
    Promise.resolve({
      ...view,
      effectiveJson: '{"config":{"service":"web"}}',
      effectiveText: 'service: web  # a.yaml:1\n',
    }),
  )

  test('as JSON', async () => {
    expect(JSON.parse((await ask(page, '', null)).body)).toEqual({ ...view, effective: { config: { service: 'web' } } })
  })

  test('as YAML that says above what is wrong with the files now', async () => {
    expect((await ask(page)).body).toBe(
      [
        '# version abc from a.yaml, b.yaml, in force since 2026-11-21T07:08:09.045Z',
        '# warning: a.yaml:2:1: odd',
        '# the files have changed since, and are refused:',
        '#   b.yaml:1:1: bad',
        '# changed in the files: workers 1 -> 2',
        '',
        'service: web  # a.yaml:1',
        '',
      ].join('\n'),
    )
  })
})

test('/drain says what will happen, and whether it was under way', async () => {
  let draining = false
  const page = drainPage(
    () => {
      const began = !draining
      draining = true
      return began
    },
    () => ({ delayMs: 5_000, timeoutMs: 20_000 }),
  )
  expect(await ask(page, '', null, 'POST')).toMatchObject({
    status: 202,
    body: expect.stringMatching(/^draining: .* after 5 s, .* after another 20 s/),
  })
  expect((await ask(page, '', null, 'POST')).body).toMatch(/^draining already/)
})

test('/leave says what will happen, and waits where it is asked to', async () => {
  const waits: number[] = []
  let outcome: LeaveOutcome = 'leaving'
  const begin = (waitMs: number) => {
    waits.push(waitMs)
    return Promise.resolve(outcome)
  }
  const page = leavePage(begin, () => ({ delayMs: 5_000, timeoutMs: 20_000 }))
  expect(await ask(page, '', null, 'POST')).toMatchObject({
    status: 202,
    body: expect.stringMatching(/^leaving: .* after 5 s, .* after another 20 s, outbound serves/),
  })
  outcome = 'left'
  expect(await ask(page, 'wait=1.5', 'json', 'POST')).toMatchObject({
    status: 200,
    body: expect.stringContaining('"outcome": "left"'),
  })
  outcome = 'draining'
  expect(await ask(page, '', null, 'POST')).toMatchObject({ status: 202, body: expect.stringMatching(/^draining al/) })
  expect(waits).toEqual([0, 1_500, 0])
  for (const wrong of ['', '0', '-1', 'soon', '3601'])
    expect(await ask(page, `wait=${wrong}`, null, 'POST')).toMatchObject({ status: 400 })
  expect(waits).toHaveLength(3)
})

test('/log-level shows and changes the level, and refuses what is none', async () => {
  let level: LogLevel = 'info'
  const page = logLevelPage({ level: () => level, setLevel: wanted => (level = wanted) })
  expect((await ask(page)).body).toBe('info\n')
  expect((await ask(page, 'level=debug', null, 'POST')).body).toBe('debug\n')
  expect((await ask(page, '', null, 'POST', 'WARN\n')).body).toBe('warn\n')
  expect(await ask(page, 'level=loud', null, 'POST')).toMatchObject({ status: 400 })
  expect(level).toBe('warn')
})
