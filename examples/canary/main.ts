import { run, type ToyService } from '../support/example.ts'
import { tallyAnswers, tallyText } from '../support/tally-answers.ts'

const orders = (name: string, port: number, version: string): ToyService => ({
  name,
  port,
  answer: (_, response) => response.end(`orders ${version}\n`),
})

run({
  folder: import.meta.dirname,
  services: [orders('orders-1', 18001, 'v1'), orders('orders-2', 18002, 'v1'), orders('orders-3', 18003, 'v2')],
  admin: 15000,
  async play({ call, page, say, expect }) {
    const everyone = await tallyAnswers(
      2_000,
      () => call(15001, '/', { host: 'orders' }),
      ({ status, body }) => `${status} ${body.trim()}`,
    )
    say(`2,000 calls of everyone:\n${tallyText(everyone)}`)
    // 5 % of 2,000 is 100, with a standard deviation of 10.
    const canary = everyone.get('200 orders v2') ?? 0
    expect(
      canary > 40 && canary < 160 && canary + (everyone.get('200 orders v1') ?? 0) === 2_000,
      'about 5 % go to v2, the others to v1',
    )

    const testers = await tallyAnswers(
      20,
      () => call(15001, '/', { host: 'orders', 'x-tester': 'me' }),
      ({ status, body }) => `${status} ${body.trim()}`,
    )
    say(`20 calls with x-tester:\n${tallyText(testers)}`)
    expect(testers.get('200 orders v2') === 20, 'testers always get v2')

    const why = await page('/explain?url=http://orders/&header=x-tester:me')
    say(`Why does a tester get there? /explain says:\n${why}`)
    expect(why.includes('testers') && why.includes('orders/v2'), 'the explanation names the route and the subset')
  },
  tryNext: [
    "curl -H 'host: orders' 127.0.0.1:15001/                         v1, mostly",
    "curl -H 'host: orders' -H 'x-tester: me' 127.0.0.1:15001/       v2",
    "curl '127.0.0.1:15000/explain?url=http://orders/&format=text'   where would it go, and why?",
    'edit the weights in examples/canary/sidecar.yaml, and call again',
  ],
})
