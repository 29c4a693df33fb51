import { expect, test } from 'vitest'
import { startAgent } from './support/agent.ts'
import { startConsul } from './support/consul.ts'
import { startLoad } from './support/load.ts'
import { startMeshedApp } from './support/meshed-app.ts'
import { freePort } from './support/ports.ts'
import { startProxy } from './support/proxy.ts'
import { until } from './support/until.ts'

test('top shows what discovery says of an endpoint, in the words of /endpoints', async () => {
  await using consul = await startConsul()
  await consul.ready()
  await using one = await startMeshedApp(consul, 'web', 'web-1')
  await using two = await startMeshedApp(consul, 'web', 'web-2')
  await using agent = await startAgent({ policies: { order: ['files'] } })
  const port = await freePort()
  await using proxy = await startProxy({
    service: 'client',
    agent: `unix:${agent.socket}`,
    outbound: [{ listen: `127.0.0.1:${port}`, service: 'web' }],
    discovery: { consul: { address: consul.address, services: { web: {} } } },
  })
  const load = startLoad({ port, path: '/', rate: 50 })
  const [first, second] = [one, two].map(app => `127.0.0.1:${app.port} +web +`)
  const shown = (what: RegExp) =>
    until(`top with ${what}`, async () => {
      const { code, out } = await agent.top('web')
      return code === 0 && what.test(out) && out
    })
  const both = await shown(new RegExp(`${first}admitting +[1-9]`))
  expect(both).toMatch(new RegExp(`${second}admitting +[1-9]`))
  expect(both).not.toContain('WHY')
  await two.say('critical')
  const critical = await shown(new RegExp(`${second}critical`))
  expect(critical).toMatch(/ACTIVE {2}WHY$/m)
  const said = (await proxy.endpoints('web')).find(({ address }) => address.endsWith(`:${two.port}`))!
  expect(said).toMatchObject({ health: 'critical', healthReason: expect.stringContaining('said') })
  expect(critical).toMatch(new RegExp(`${second}critical .* ${said.healthReason}`))
  expect(critical).toMatch(new RegExp(`${first}admitting`))
  await two.say('passing')
  await shown(new RegExp(`${second}admitting`))
  expect((await load.stop()).failures).toEqual(new Map())
})
