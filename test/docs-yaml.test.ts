import { describe, expect, test } from 'vitest'
import { loadAgentFile } from '../mesh-config/agent/load-agent-file.ts'
import { loadDevFile } from '../mesh-config/dev/load-dev-file.ts'
import { readEndpointFile } from '../mesh-config/endpoint-file.ts'
import { loadTexts } from '../mesh-config/load-snapshot.ts'
import { compilePolicy, readPolicy } from '../mesh-config/policy-document.ts'
import { yamlOfDocs } from './support/yaml-blocks.ts'

/** What examples take from the environment. */
const env = {
  POD_IP: '10.0.0.7',
  CONSUL_HTTP_TOKEN: 'x',
  ADDRESS: '10.78.0.11',
  SERVICE: 'web',
  INSTANCE: 'web',
}
/** For a block about one part: a place to listen. */
const around = { file: 'around.yaml', text: 'outbound: [{ listen: 127.0.0.1:15001 }]\n' }

const blocks = yamlOfDocs()

describe('every YAML example of the documentation passes `outrigger config check`', () => {
  test.each(blocks.filter(({ kind }) => kind === ''))('$place', async ({ text, place }) => {
    const isPart = !/^(inbound|outbound):/m.test(text)
    const loaded = await loadTexts([...(isPart ? [around] : []), { file: place, text }], env)
    expect(loaded.ok ? [] : loaded.errors).toEqual([])
  })

  test.each(blocks.filter(({ kind }) => kind === 'endpoints'))('$place: an endpoint file', ({ text, place }) => {
    expect(readEndpointFile(place, text)).toMatchObject({ ok: true })
  })

  test.each(blocks.filter(({ kind }) => kind === 'policy'))('$place: a policy document', async ({ text, place }) => {
    const { root, problems } = await readPolicy('orders', place, text, env)
    expect(problems).toEqual([])
    expect(compilePolicy('orders', [root!])).toMatchObject({ ok: true, warnings: [] })
  })

  test.each(blocks.filter(({ kind }) => kind === 'agent'))('$place: an agent file', async ({ text, place }) => {
    expect(await loadAgentFile({ file: place, text }, env)).toMatchObject({ ok: true })
  })

  test.each(blocks.filter(({ kind }) => kind === 'dev'))('$place: a file of outrigger dev', ({ text, place }) => {
    const loaded = loadDevFile(place, text, env)
    expect(loaded.ok ? [] : loaded.errors).toEqual([])
  })

  test('what is marked as something else is something that is known', () => {
    expect(
      blocks
        .map(({ kind }) => kind)
        .filter(
          kind =>
            !(
              ['', 'agent', 'endpoints', 'dev', 'policy'].includes(kind) ||
              ['kubernetes', 'envoy', 'istio', 'prometheus', 'compose', 'grafana'].includes(kind)
            ),
        ),
    ).toEqual([])
  })
})
