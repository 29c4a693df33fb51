import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { shield, unshield } from '../../mesh-config/environment.ts'
import { loadTexts } from '../../mesh-config/load-snapshot.ts'
import { type DocumentKind, publishedSchema } from '../../mesh-config/schema.ts'
import { yamlOfDocs } from '../support/yaml-blocks.ts'

/** The published JSON Schema in the validator that editors use: what the loader takes, it takes, variables included. */

const ajv = () => new Ajv2020({ strict: true, strictTypes: false, allowUnionTypes: true, allErrors: true })
let check: ValidateFunction

beforeAll(() => {
  check = ajv().compile(publishedSchema('sidecar'))
})

const errorsOf = (text: string) => {
  // An editor reads an unquoted variable inside { } as another { }; what it would see of a quoted one is this.
  check(JSON.parse(unshield(JSON.stringify(parse(shield(text), { merge: true }) ?? {}))))
  return check.errors?.map(({ instancePath, message }) => `${instancePath}: ${message}`) ?? []
}

test.each<DocumentKind>(['sidecar', 'service'])('the schema of a %s document is valid itself', kind => {
  expect(() => ajv().compile(publishedSchema(kind))).not.toThrow()
})

test.each(yamlOfDocs().filter(({ kind }) => kind === ''))('$place', ({ text }) => {
  expect(errorsOf(text)).toEqual([])
})

describe('variables and empty values, which the loader takes as well', () => {
  const env = {
    HOST: '127.0.0.1',
    PORT: '15000',
    COUNT: '2',
    YES: 'true',
    MODE: 'on',
    TIME: '5s',
    SIZE: '1MiB',
    TOKEN: 'x',
  }

  test.each([
    'admin: 127.0.0.1:${PORT}',
    'admin: ${HOST}:${PORT}',
    'admin:',
    'admin: off',
    'workers: ${COUNT}',
    'workers:',
    'service: ${NAME:-web}',
    'accessLog: ${MODE}',
    'accessLog:',
    'drain: { delay: ${TIME}, timeout: ${NONE:-20s} }',
    'flights:',
    'outbound: [{ listen: ${HOST}:9102, service: orders, h2cUpgrade: ${YES}, limits: { streams: ${COUNT}, buffer: ${SIZE} } }]',
    'services: { orders: { balancer: { type: ${POLICY:-random}, sticky: ${YES} }, retries: { attempts: ${COUNT} }, timeouts: } }',
    'services: { orders: }',
    'services:',
    'discovery: { consul: { address: "http://${HOST}:8500", token: "${TOKEN}" }, endpoints: { orders: [{ address: ${HOST}:9001, weight: ${COUNT} }] } }',
    'service: web\nregister: { check: { http: "http://${HOST}:80/healthz" } }\ndiscovery: { consul: {} }\ninbound: [{ listen: 0.0.0.0:20000, forward: ${HOST}:3000 }]',
  ])('%s', async text => {
    const around =
      'outbound: [{ listen: 127.0.0.1:9101, service: orders }]\ndiscovery: { endpoints: { orders: [127.0.0.1:9001] } }\n'
    const loaded = await loadTexts(
      [
        { file: 'around.yaml', text: around },
        { file: 'a.yaml', text },
      ],
      env,
    )
    expect(loaded.ok ? [] : loaded.errors).toEqual([])
    expect(errorsOf(text)).toEqual([])
  })

  test.each([
    'admin: 15000',
    'admin: localhost',
    'workers: 0',
    'workers: two',
    'accessLog: error',
    'drain: { delay: 5 }',
    'outbound: [{ listen: }]',
    'servce: web',
  ])('%s is told by an editor', text => {
    expect(errorsOf(text)).not.toEqual([])
  })
})
