import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { injectText, undoText } from '../../inject/manifest.ts'
import { readManifest } from '../../inject/manifest-nodes.ts'
import { mapOf, mapsOf } from '../../inject/shape.ts'
import { injectOptions } from './support/options.ts'

/** Manifests in the shapes that charts have: what injection makes of them, and that nothing else is touched. */

const folder = join(import.meta.dirname, 'manifests')
const files = readdirSync(folder).sort()
const read = (file: string) => readFileSync(join(folder, file), 'utf8')

test('there are thirty and more', () => {
  expect(files.length).toBeGreaterThanOrEqual(30)
})

const lineEnds = { unix: (text: string) => text, windows: (text: string) => text.replaceAll('\n', '\r\n') }

describe.each(['native', 'classic'] as const)('%s', mode => {
  describe.each(Object.entries(lineEnds))('with line ends of %s', (system, ends) => {
    test.each(files)('%s', async file => {
      const text = ends(read(file))
      const options = injectOptions({ mode })
      const { text: injected, rows } = await injectText(text, options)
      const refused = rows.filter(({ result }) => result === 'refused')
      if (mode === 'classic' && refused.length > 0) {
        // A Job with a classic sidecar would never complete.
        for (const { why } of refused) expect(why).toMatch(/^a (Cron)?Job with a classic sidecar never completes/)
        expect(injected).toBe(text)
        return
      }
      expect(refused).toEqual([])
      for (const document of parseAllDocuments(injected)) expect(document.errors).toEqual([])
      expect(injected === text).toBe(rows.every(({ result }) => result !== 'injected'))
      expect((await injectText(injected, options)).text).toBe(injected)
      expect(undoText(injected).text).toBe(text)
      if (system === 'windows') expect(injected).not.toMatch(/[^\r]\n/)

      // Every line that was there is there, in its order.
      if (file.endsWith('.yaml') && !file.includes('flow')) {
        const now = injected.split(/\r?\n/)
        let at = 0
        for (const line of text.split(/\r?\n/).filter(each => !each.includes('{'))) {
          const found = now.indexOf(line, at)
          expect(found, line).toBeGreaterThanOrEqual(at)
          at = found + 1
        }
      }
    })
  })
})

test('the summary says of each object what came of it', async () => {
  const { rows } = await injectText(read('several-kinds.yaml'), injectOptions())
  expect(rows.map(({ object, result }) => [object, result])).toEqual([
    ['Namespace/market', 'none'],
    ['Deployment/custom', 'none'],
    ['Deployment/named', 'injected'],
    ['Job/once-', 'injected'],
  ])
  const { rows: others } = await injectText(read('not-injected.yaml'), injectOptions())
  expect(others.map(({ result, why }) => [result, why])).toEqual([
    ['skipped', 'outrigger.io/inject: disabled'],
    ['skipped', 'hostNetwork: the ports of the sidecar would be ports of the node'],
    ['skipped', 'Windows: the sidecar runs on Linux'],
  ])
})

test('with other options an injected manifest is injected anew, and with another image nothing else changes', async () => {
  const text = read('web-deployment.yaml')
  const { text: first } = await injectText(text, injectOptions())
  const { text: second } = await injectText(first, injectOptions({ image: 'outrigger:9' }))
  expect(second).toBe((await injectText(text, injectOptions({ image: 'outrigger:9' }))).text)
  expect(undoText(second).text).toBe(text)
})

test('what others add to an injected manifest stays when the sidecar is taken out', async () => {
  const { text } = await injectText(read('single-pod.yaml'), injectOptions())
  const more = text.replace(/^ {2}volumes:\n/m, '  volumes:\n  - name: mine\n    emptyDir: {}\n')
  expect(more).not.toBe(text)
  const bare = readManifest(undoText(more).text)
  const { spec } = mapOf((bare as { pod: { json: object } }[])[0]!.pod.json)
  expect(mapsOf(mapOf(spec).volumes).map(({ name }) => name)).toEqual(['mine'])
  expect(mapOf(spec)).not.toHaveProperty('initContainers')
})

test('a sidecar file that was edited by hand is not overwritten', async () => {
  const { text } = await injectText(read('single-pod.yaml'), injectOptions())
  const edited = text.replace('admin: 127.0.0.1:15000', 'admin: 127.0.0.1:15009')
  const { text: again, rows } = await injectText(edited, injectOptions())
  expect(again).toBe(edited)
  expect(rows[0]).toMatchObject({ result: 'refused', why: expect.stringContaining('was edited after injection') })
  expect(undoText(edited).text).toBe(read('single-pod.yaml'))
})

test('where one object is refused the text stays whole', async () => {
  const text = `${read('web-deployment.yaml')}---\n${read('single-pod.yaml').replace('  name: debug', '  name: debug\n  annotations: {outrigger.io/intercpt: enabled}')}`
  const { text: after, rows } = await injectText(text, injectOptions())
  expect(after).toBe(text)
  expect(rows.at(-1)).toMatchObject({
    object: 'Pod/debug',
    result: 'refused',
    why: 'outrigger.io/intercpt: there is no such annotation: did you mean outrigger.io/intercept?',
  })
})

describe('forms that cannot be edited without changing what is not ours', () => {
  const pod = (spec: string, head = '') => `apiVersion: v1\nkind: Pod\n${head}metadata: {name: x}\n${spec}`
  test.each([
    [
      'an alias',
      pod('x-v: &v [{name: t, emptyDir: {}}]\nspec:\n  volumes: *v\n  containers: [{name: a, image: b}]\n'),
      'volumes is an alias (*v): write it out',
    ],
    [
      'an anchor that an alias refers to',
      pod('spec:\n  volumes: &v\n  - {name: t, emptyDir: {}}\n  containers: [{name: a, image: b}]\nx-v: *v\n'),
      'volumes is used in other places too (&v), which would change with it: write it out',
    ],
    [
      'a merge',
      pod('x-s: &s {volumes: [{name: t, emptyDir: {}}]}\nspec:\n  <<: *s\n  containers: [{name: a, image: b}]\n'),
      'volumes comes from a merge (<<): write it out where it belongs',
    ],
    [
      'a null in words',
      pod('spec:\n  volumes: null\n  containers: [{name: a, image: b}]\n'),
      'volumes is null: remove it, or give it a value',
    ],
  ])('%s', async (_name, text, why) => {
    const { text: after, rows } = await injectText(text, injectOptions())
    expect(rows).toMatchObject([{ result: 'refused', why }])
    expect(after).toBe(text)
  })

  test('what is no YAML, a template, and a bomb of aliases', async () => {
    const why = async (text: string) => (await injectText(text, injectOptions())).rows[0]?.why
    expect(await why('a: [1\nb: 2\n')).toMatch(/^line \d+: this is no YAML/)
    expect(await why('kind: Pod\n{{- if .Values.x }}\na: {{ include "x" . }}\n{{- end }}\n')).toContain('helm template')
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x]',
      ...'bcdefgh'.split('').map((each, i) => `${each}: &${each} [${`*${'abcdefg'[i]},`.repeat(9)}]`),
    ]
    expect(await why(`kind: Pod\napiVersion: v1\n${bomb.join('\n')}\n`)).toMatch(/alias/)
  })
})
