import { type Browser, chromium, type Page } from 'playwright-core'
import { beforeAll, describe, expect, test } from 'vitest'
import { obtain } from '../peers/obtain.ts'
import { startBackend } from './support/backend.ts'
import { freePort } from './support/ports.ts'
import { get, type RunningProxy, startProxy } from './support/proxy.ts'
import { until } from './support/until.ts'

/**
 * The admin pages in a real browser, at the width of a desk and of a phone, in light and dark: nothing is cut, every
 * link leads somewhere, nothing is refused by the policy.
 */

let browser: Browser
let proxy: RunningProxy
let admin: string

const long = 'a-long-name-that-nobody-would-break-by-hand'.repeat(4)

beforeAll(async () => {
  browser = await chromium.launch({ executablePath: await obtain('chromium'), args: ['--no-sandbox'] })
  const backend = await startBackend()
  const down = await freePort()
  const port = await freePort()
  proxy = await startProxy({
    service: 'web',
    outbound: [{ listen: `127.0.0.1:${port}` }],
    discovery: {
      endpoints: {
        orders: [
          { address: backend.address, zone: 'eu-west-1a', meta: { version: 'v1', note: long } },
          `127.0.0.1:${down}`,
        ],
        empty: [],
      },
      files: { lost: `/nowhere/${long}.json` },
    },
    services: {
      orders: {
        routes: [
          { match: { path: '/api/*' }, to: [{ weight: 9 }, { service: 'empty' }] },
          { match: { methods: ['GET'] } },
        ],
      },
    },
  })
  admin = `http://127.0.0.1:${proxy.adminPort}`
  const ask = (host: string, path: string, method = 'GET') => get(port, path, { method, headers: { host } })
  await until('a second attempt', async () => {
    await ask('orders', `/status/500?${long}`)
    return (await proxy.endpoints('orders')).some(({ failures }) => failures > 0)
  })
  await ask('nobody', '/<b>')
  await ask('orders', '/x', 'PUT')
  await ask('empty', '/')
  return async () => {
    await browser.close()
    await proxy.stop()
    await backend.stop()
  }
})

const paths = [
  '/',
  '/endpoints',
  '/endpoints?only=ejected',
  '/endpoints?only=nonsense',
  '/flights',
  '/flights?failed=true&refresh=60',
  '/explain',
  '/explain?url=http://orders/api/1&header=a:1&header=b:2',
  '/explain?url=http://nobody/',
  '/explain?url=%25%25',
  '/config',
  '/ready',
  '/log-level',
  `/${long}`,
]

/** Runs in the page: what reaches over its right edge. A text, because the sources know no DOM. */
const tooWide = `[...document.querySelectorAll('html, body *')]
  .filter(each => Math.max(each.getBoundingClientRect().right, each.scrollWidth) > document.documentElement.clientWidth + 1)
  .map(each => each.outerHTML.slice(0, 100))`

async function withPage<Result>(
  options: Parameters<Browser['newContext']>[0],
  use: (page: Page) => Promise<Result>,
): Promise<Result> {
  const context = await browser.newContext(options)
  try {
    return await use(await context.newPage())
  } finally {
    await context.close()
  }
}

describe.each([
  [1280, 900, 'light'],
  [390, 844, 'dark'],
] as const)('%d pixels wide, %s', (width, height, colorScheme) => {
  test.each(paths)('%s: nothing overflows, and the policy refuses nothing', async path => {
    await withPage({ viewport: { width, height }, colorScheme }, async page => {
      const refused: string[] = []
      page.on('console', message => {
        if (/Content Security Policy/i.test(message.text())) refused.push(message.text())
      })
      await page.goto(admin + path)
      expect(await page.evaluate(tooWide)).toEqual([])
      expect(refused).toEqual([])
      // The stylesheet is in force, and follows the scheme.
      const background = await page.evaluate('getComputedStyle(document.body).backgroundColor')
      expect(background).toBe(colorScheme === 'dark' ? 'rgb(20, 24, 29)' : 'rgb(255, 255, 255)')
    })
  })
})

test('every link of every page leads to a page', async () => {
  await withPage({}, async page => {
    const seen = new Set<string>()
    const queue = ['/']
    const broken: string[] = []
    for (let path = queue.shift(); path !== undefined && seen.size < 60; path = queue.shift()) {
      if (seen.has(path)) continue
      seen.add(path)
      const response = await page.request.get(admin + path, { headers: { accept: 'text/html' } })
      if (response.status() >= 400) broken.push(`${path}: ${response.status()}`)
      if (!(response.headers()['content-type'] ?? '').startsWith('text/html')) continue
      await page.goto(admin + path)
      const links = await page.$$eval('a[href]', anchors => anchors.map(anchor => anchor.getAttribute('href') ?? ''))
      queue.push(...links.filter(link => !/[?&]refresh=/.test(link)))
    }
    expect(broken).toEqual([])
    expect(
      [...seen].filter(path => path.startsWith('/explain?') || path.startsWith('/flights?endpoint=')).length,
    ).toBeGreaterThan(2)
  })
})

test('the forms work without a script', async () => {
  await withPage({ javaScriptEnabled: false }, async page => {
    await page.goto(`${admin}/explain`)
    await page.fill('input[name=url]', 'http://orders/api/1')
    await page.click('text=explain >> nth=-1')
    await page.waitForURL(/url=http/)
    expect(await page.textContent('main')).toMatch(/drawn with 0\.\d+: orders 90 %/)
    await page.goto(`${admin}/flights`)
    await page.check('input[name=failed]')
    await page.click('button')
    await page.waitForURL(/failed=true/)
    expect(await page.textContent('main')).toContain('no-route')
    await page.goto(`${admin}/log-level`)
    await page.selectOption('select', 'warn')
    await page.click('button')
    await until('the level', async () => (await (await fetch(`${admin}/log-level`)).text()) === 'warn\n')
  })
})
