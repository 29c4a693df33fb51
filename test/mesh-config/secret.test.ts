import { describe, expect, test } from 'vitest'
import { diffBootstraps, diffSnapshots } from '../../mesh-config/diff.ts'
import { describeSource, effectiveLines } from '../../mesh-config/effective-yaml.ts'
import { loadTexts } from '../../mesh-config/load-snapshot.ts'
import { isSecretName, withoutUserinfo } from '../../mesh-config/secret.ts'
import { describeMatch } from '../../proxy/router/describe.ts'

const base =
  'outbound: [{ listen: 127.0.0.1:9101, service: orders }]\ndiscovery: { endpoints: { orders: [127.0.0.1:9001] } }\n'
const PASSWORD = 'hunter2'

async function said(text: string, env: Record<string, string> = {}): Promise<string> {
  const loaded = await loadTexts([{ file: 'a.yaml', text }], env)
  if (!loaded.ok) return loaded.errors.join('\n')
  const effective = await loaded.effective()
  const lines = effectiveLines(effective).map(
    ({ text, source }) => `${text} ${source === null ? '' : describeSource(source)}`,
  )
  return [...loaded.warnings, JSON.stringify(effective), ...lines].join('\n')
}

describe('no error, warning or effective configuration shows', () => {
  test.each([
    [
      'a password in the address of Consul',
      `${base.trim().slice(0, -1)}, consul: { address: "http://user:${PASSWORD}@consul:8500" } }\n`,
    ],
    [
      'one with slashes and signs in it',
      `${base.trim().slice(0, -1)}, consul: { address: "https://user:a/b@${PASSWORD}@consul:8500/x" } }\n`,
    ],
    [
      'one in an address of an endpoint',
      `outbound: [{ listen: "http://u:${PASSWORD}@127.0.0.1:1" }]\ndiscovery: { endpoints: { orders: ["http://u:${PASSWORD}@a:1"] } }\n`,
    ],
    ['one in a key that is no key', `${base}"http://u:${PASSWORD}@x": 1\n`],
    [
      'one in the target of a check',
      `${base.trim().slice(0, -1)}, consul: {} }\nregister: { port: 1, check: { http: "http://u:${PASSWORD}@127.0.0.1/health" } }\n`,
    ],
    [
      'the secret of sticky cookies',
      `${base}services: { orders: { balancer: { sticky: { cookieSecret: "${PASSWORD} and more of it" } } } }\n`,
    ],
    [
      'nor one that is too short',
      `${base}services: { orders: { balancer: { sticky: { cookieSecret: ${PASSWORD} } } } }\n`,
    ],
    ['a token where a space is missing', `discovery:\n  consul:\n    token:${PASSWORD}\n    address: http://a:1\n`],
    [
      'what a variable with the name of a secret falls back to',
      `${base.trim().slice(0, -1)}, consul: { token: "\${CONSUL_TOKEN:-${PASSWORD}}" } }\n`,
    ],
    [
      'nor of any variable, where the value is a secret',
      `${base.trim().slice(0, -1)}, consul: { token: "\${X:-${PASSWORD}}" } }\n`,
    ],
    ['nor in an error', `outbound: [{ listen: "\${LISTEN_TOKEN:-${PASSWORD}}" }]\n`],
    [
      'the key that a request needs',
      `${base}services: { orders: { routes: [{ match: { headers: { x-api-key: { exact: ${PASSWORD} }, authorization: ${PASSWORD} }, query: { token: ${PASSWORD} } } }, {}] } }\n`,
    ],
    [
      'nor one that no header can have',
      `${base}services: { orders: { routes: [{ headers: { request: { set: { authorization: "${PASSWORD}\\n" } } } }] } }\n`,
    ],
    [
      'the key that a route adds to a request',
      `${base}services: { orders: { routes: [{ headers: { request: { set: { authorization: ${PASSWORD} }, add: { x-api-key: ${PASSWORD} } } }, to: [{ headers: { response: { set: { set-cookie: ${PASSWORD} } } } }] }, {}] } }\n`,
    ],
  ])('%s', async (_name, text) => {
    expect(await said(text)).not.toContain(PASSWORD)
  })
})

test('what is no secret is shown as it is', async () => {
  const text = `${base}services: { orders: { routes: [{ match: { headers: { x-tester: yes-it-is } } }, {}] } }\nzone: "\${ZONE:-eu-1}"\n`
  const shown = await said(text)
  expect(shown).toContain('yes-it-is')
  expect(shown).toContain('${ZONE:-eu-1}')
})

test('a reload says that a secret changed, and not to what', async () => {
  const load = async (secret: string) => {
    const loaded = await loadTexts(
      [
        {
          file: 'a.yaml',
          text: `${base}services: { orders: { balancer: { sticky: { cookieSecret: ${secret} } } } }\n`,
        },
      ],
      {},
    )
    if (!loaded.ok) throw new Error(loaded.errors.join('\n'))
    return loaded
  }
  const [one, two] = [await load('one-secret-of-many'), await load('two-secrets-of-many')]
  expect(diffSnapshots(one.snapshot, two.snapshot)).toEqual(['service orders: balancer.sticky.secret changed'])
  expect(diffBootstraps(one.bootstrap, { ...two.bootstrap, state: 'http://u:p@x/' })[0]).not.toContain('u:p')
})

test('URLs are shown without user and password', () => {
  expect(withoutUserinfo('at http://u:p@h:1/x and https://h/')).toBe('at http://(not shown)@h:1/x and https://h/')
  expect(withoutUserinfo('mail a@b.example, //c@d')).toBe('mail a@b.example, //c@d')
})

test('names of secrets', () => {
  for (const name of ['CONSUL_TOKEN', 'password', 'X-Api-Key', 'API_KEY', 'authorization', 'cookie', 'clientSecret'])
    expect(isSecretName(name), name).toBe(true)
  for (const name of ['x-user', ':authority', 'AUTHORITY', 'zone', 'key']) expect(isSecretName(name), name).toBe(false)
})

test('explain does not tell a caller the key that a route asks for', () => {
  const match = {
    path: { kind: 'prefix', value: '/' },
    methods: [],
    headers: [{ name: 'x-api-key', kind: 'exact', value: PASSWORD }],
    query: [],
  } as const
  expect(describeMatch(match)).toBe('any path, header x-api-key is (not shown: a secret)')
})
