import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Document, isCollection, isScalar, parseDocument, Scalar, visit } from 'yaml'
import { injectText, undoText } from '../../inject/manifest.ts'
import { injectOptions } from './support/options.ts'

/** The same pod in any style of YAML: injected, taken back, and never refused. */

const container = fc.record({
  name: fc.constantFrom('app', 'web', 'worker'),
  image: fc.constantFrom('example/app:1', 'a'),
  args: fc.option(
    fc.array(fc.constantFrom('a', 'b: c', '# no comment', 'line\nline\n', "it's", '{x}'), { maxLength: 3 }),
    { nil: undefined },
  ),
  ports: fc.option(fc.array(fc.record({ containerPort: fc.integer({ min: 1, max: 9999 }) }), { maxLength: 2 }), {
    nil: undefined,
  }),
})

const pod = fc.record({
  apiVersion: fc.constant('v1'),
  kind: fc.constant('Pod'),
  metadata: fc.record({
    name: fc.constant('x'),
    annotations: fc.constantFrom(undefined, null, {}, { 'a.b/c': 'd' }, { 'outrigger.io/intercept': 'enabled' }),
  }),
  spec: fc.record({
    volumes: fc.constantFrom(undefined, null, [], [{ name: 'v', emptyDir: {} }]),
    initContainers: fc.constantFrom(undefined, null, [], [{ name: 'i', image: 'j' }]),
    containers: fc.array(container, { minLength: 1, maxLength: 2 }),
    restartPolicy: fc.constantFrom(undefined, 'Always'),
  }),
})

const style = fc.record({
  indent: fc.integer({ min: 1, max: 6 }),
  indentSeq: fc.boolean(),
  // Which collections are in brackets, and which texts in which quotes.
  seeds: fc.array(fc.nat(9), { minLength: 40, maxLength: 40 }),
  ends: fc.constantFrom('\n', '\r\n'),
  isUnended: fc.boolean(),
  comments: fc.boolean(),
})

test('a pod in any style', async () => {
  await fc.assert(
    fc.asyncProperty(pod, style, fc.constantFrom('native' as const, 'classic' as const), async (value, how, mode) => {
      const text = written(value, how)
      // The writer of YAML makes what its reader refuses, at times.
      fc.pre(parseDocument(text).errors.length === 0)
      const { text: injected, rows } = await injectText(text, injectOptions({ mode }))
      const nullInBrackets = rows.some(({ why }) => /is null: remove it/.test(why))
      if (nullInBrackets) return
      expect(rows.map(({ result, why }) => [result, why])).toEqual([['injected', `${mode} sidecar`]])
      expect((await injectText(injected, injectOptions({ mode }))).text).toBe(injected)
      expect(undoText(injected).text).toBe(text)
    }),
    { numRuns: 60 },
  )
})

function written(
  value: unknown,
  { indent, indentSeq, seeds, ends, isUnended, comments }: typeof style extends fc.Arbitrary<infer T> ? T : never,
): string {
  const document = new Document(value)
  let at = 0
  const next = () => seeds[at++ % seeds.length]!
  visit(document, {
    Node(role, node) {
      const seed = next()
      if (isCollection(node)) node.flow = seed === 0
      // Keys in blocks, or with comments, are written as "? key", which is refused.
      if (role === 'key') return
      if (isScalar(node) && typeof node.value === 'string')
        node.type = ([Scalar.PLAIN, Scalar.QUOTE_DOUBLE, Scalar.QUOTE_SINGLE, Scalar.BLOCK_LITERAL] as const)[seed % 4]!
      if (comments && seed === 5) node.comment = ' a comment'
      if (comments && seed === 6) node.commentBefore = ' before'
    },
  })
  const text = document.toString({ indent, indentSeq, nullStr: '' }).replaceAll('\n', ends)
  return isUnended ? text.trimEnd() : text
}
