import { run, type ToyService } from '../support/example.ts'
import { tallyAnswers, tallyText } from '../support/tally-answers.ts'

const hello = (name: string, port: number): ToyService => ({
  name,
  port,
  answer: (_, response) => response.end(`hello from ${name}\n`),
})

run({
  folder: import.meta.dirname,
  services: [hello('hello-1', 18001), hello('hello-2', 18002)],
  admin: 15000,
  async play({ call, say, expect }) {
    const counts = await tallyAnswers(
      200,
      () => call(18101),
      ({ status, body }) => `${status} ${body.trim()}`,
    )
    say(`200 calls to 127.0.0.1:18101 were answered by:\n${tallyText(counts)}`)
    expect(counts.size === 2 && [...counts.values()].every(count => count >= 40), 'both instances answer their share')
  },
  tryNext: [
    'curl 127.0.0.1:18101/',
    'curl 127.0.0.1:15000/endpoints?format=text',
    'npx outrigger explain http://hello/ --admin 127.0.0.1:15000',
    'npx outrigger config effective examples/minimal/sidecar.yaml',
  ],
})
