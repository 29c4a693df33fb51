import { setTimeout as sleep } from 'node:timers/promises'
import { run, type ToyService } from '../support/example.ts'
import { tallyAnswers, tallyText } from '../support/tally-answers.ts'

let isIll = true
const good: ToyService = { name: 'orders-1', port: 18001, answer: (_, response) => response.end('orders-1\n') }
const ill: ToyService = {
  name: 'orders-2',
  port: 18002,
  answer(_, response) {
    if (isIll) response.statusCode = 503
    response.end(isIll ? 'orders-2 is ill\n' : 'orders-2\n')
  },
}

run({
  folder: import.meta.dirname,
  // Nobody listens on 18003.
  services: [good, ill],
  admin: 15000,
  async play({ call, page, say, expect }) {
    const callOrders = () => call(15001, '/', { host: 'orders' })
    const answers = await tallyAnswers(300, callOrders, ({ status, body }) => `${status} ${body.trim()}`)
    say(`300 calls, with orders-2 answering 503 and orders-3 not there:\n${tallyText(answers)}`)
    expect(answers.get('200 orders-1') === 300, 'every call is answered by the one good instance')

    const endpoints = await page('/endpoints?service=orders')
    say(`What the sidecar thinks of them (/endpoints):\n${endpoints}`)
    expect((endpoints.match(/ejected for/g) ?? []).length === 2, 'both bad endpoints are ejected')

    isIll = false
    say('orders-2 is well again. An ejection lasts 2 s; then one answer admits it ...')
    await sleep(2_500)
    const later = await tallyAnswers(200, callOrders, ({ status, body }) => `${status} ${body.trim()}`)
    say(`200 calls more:\n${tallyText(later)}`)
    expect((later.get('200 orders-2') ?? 0) > 40 && later.size === 2, 'orders-2 has its share again, and no call fails')
  },
  tryNext: [
    "curl -i -H 'host: orders' 127.0.0.1:15001/                                 always answered",
    "curl '127.0.0.1:15000/endpoints?format=text'                              who is ejected, why, and for how long",
    "curl '127.0.0.1:15000/flights?limit=5&format=text'                        the last requests, attempt by attempt",
    'curl -s 127.0.0.1:15000/metrics | grep upstream_failures                  what went wrong on the way',
  ],
})
