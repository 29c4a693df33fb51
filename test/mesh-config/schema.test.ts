import { describe, expect, test } from 'vitest'
import * as z from 'zod'
import {
  type DocumentKind,
  keysOf,
  placesOf,
  publishedSchema,
  type SchemaNode,
  schemaAt,
  schemaOf,
} from '../../mesh-config/schema.ts'

function* nodes(node: SchemaNode, place: string): Generator<[string, SchemaNode]> {
  yield [place, node]
  for (const form of node.anyOf ?? []) yield* nodes(form, `${place}|`)
  for (const [key, child] of Object.entries(node.properties ?? {})) yield* nodes(child, `${place}.${key}`)
  if (node.items !== undefined) yield* nodes(node.items, `${place}[]`)
  if (typeof node.additionalProperties === 'object') yield* nodes(node.additionalProperties, `${place}.<name>`)
}

describe.each<DocumentKind>(['sidecar', 'service'])('the JSON Schema of a %s document', kind => {
  const published = publishedSchema(kind) as SchemaNode & { $schema?: unknown }

  test('is one that editors take, with a description for every setting', () => {
    expect(published.$schema).toBe('https://json-schema.org/draft/2020-12/schema')
    const silent = [...nodes(published, '')].filter(
      ([place, node]) =>
        /\.[a-zA-Z]+$/.test(place) &&
        node.description === undefined &&
        !/services\.<name>\.health|^\.health/.test(place),
    )
    expect(silent.map(([place]) => place)).toEqual([])
  })

  test('refuses keys it does not know', () => {
    for (const [place, node] of nodes(published, ''))
      if (node.properties !== undefined) expect([place, node.additionalProperties]).toEqual([place, false])
  })

  test('has only keywords of JSON Schema', () => {
    expect(JSON.stringify(published)).not.toMatch(/"(why|kind|secret)":/)
  })
})

describe('what the published schema says', () => {
  const published = publishedSchema('sidecar') as SchemaNode

  test('gives the reasons of defaults', () => {
    expect(schemaAt(published, ['services', 'x', 'timeouts', 'request'])).toMatchObject({
      default: '15s',
      description: expect.stringMatching(
        /^From the last byte of the request .* Default "15s": the route timeout of Envoy and Consul, .*\.$/,
      ),
    })
  })

  test.each([
    ['1m30s', true],
    ['off', true],
    ['5 sec', false],
    ['ms', false],
    ['', false],
  ])('its pattern for durations and %j: %s', (text, matches) => {
    const { pattern } = schemaAt(published, ['drain', 'delay'])!
    expect(new RegExp(pattern!).test(text)).toBe(matches)
  })

  test('has the short forms beside the long ones', () => {
    expect(schemaAt(published, ['accessLog'])!.anyOf).toMatchObject([
      { anyOf: [{ enum: ['off', 'on', 'errors'] }, {}] },
      { type: 'object' },
      { type: 'null' },
    ])
    expect(schemaAt(published, ['discovery', 'endpoints', 'x', 0])!.anyOf).toMatchObject([
      { type: 'string' },
      { type: 'object', required: ['address'] },
    ])
  })
})

describe('an editor that checks with the published schema', () => {
  const editor = z.fromJSONSchema(publishedSchema('sidecar') as Parameters<typeof z.fromJSONSchema>[0])

  test.each([
    [
      'the smallest file',
      {
        outbound: [{ listen: '127.0.0.1:9101', service: 'orders' }],
        discovery: { endpoints: { orders: ['127.0.0.1:9001'] } },
      },
    ],
    [
      'short forms',
      {
        accessLog: 'on',
        admin: 'off',
        services: {
          orders: {
            timeouts: { request: 0, idle: '1m30s' },
            routes: [{ match: { path: '/a/*', headers: { 'x-a': 'b' } } }],
          },
        },
      },
    ],
    [
      'long forms',
      {
        accessLog: { mode: 'on' },
        services: {
          orders: { routes: [{ match: { path: { regex: '/.*' }, headers: { 'x-a': { present: true } } } }] },
        },
      },
    ],
  ])('is content with %s', (_, document) => {
    expect(editor.safeParse(document).error?.issues).toBeUndefined()
  })

  test.each([
    ['an unknown key', { servce: 'web' }],
    ['a bad duration', { drain: { delay: '5 sec' } }],
    ['a number that is no 0 for a duration', { drain: { delay: 5 } }],
    ['a bad address', { admin: '15000' }],
    ['a listener without address', { outbound: [{ service: 'orders' }] }],
    ['a word that is none of a few', { accessLog: 'error' }],
    ['a number out of range', { workers: 0 }],
  ])('sees %s', (_, document) => {
    expect(editor.safeParse(document).success).toBe(false)
  })
})

describe('looking around in a schema', () => {
  test('finds the keys of a place and the places of a key', () => {
    expect(keysOf(schemaAt(schemaOf('sidecar'), ['flights'])!)).toEqual(['recent', 'failed'])
    expect(keysOf(schemaAt(schemaOf('sidecar'), ['accessLog'])!)).toEqual([
      'mode',
      'only',
      'format',
      'template',
      'fields',
      'path',
    ])
    expect(placesOf('budget', schemaOf('sidecar'), true)).toEqual(['services.<name>.retries.budget'])
    expect(placesOf('zone', schemaOf('sidecar'), false)).toEqual(['zone', 'discovery.endpoints.<name>[].zone'])
    expect(schemaAt(schemaOf('sidecar'), ['no', 'such'])).toBeNull()
  })
})
