import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { annotations } from '../../inject/annotations.ts'
import { PREFIX } from '../../inject/names.ts'
import { mapOf, mapsOf } from '../../inject/shape.ts'
import { injectorMetrics, newCounts } from '../../inject/webhook/counts.ts'
import { withAnnotations } from '../../scripts/annotations.ts'

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/kubernetes.md'), 'utf8')

test('docs/kubernetes.md has the table of annotations (npm run docs writes it)', () => {
  expect(withAnnotations(page)).toBe(page)
})

test('every annotation that the page names is there', () => {
  const named = [...page.matchAll(/outrigger\.io\/([a-z-]+)/g)].map(([, name]) => name!)
  expect(named.filter(name => !Object.hasOwn(annotations, name))).toEqual([])
})

test('the metrics of the injector are those of its table', () => {
  const text = newCounts().text(1)
  for (const [name, type] of injectorMetrics) expect(text).toContain(`# TYPE ${name} ${type}\n`)
  expect([...text.matchAll(/^# TYPE (\w+)/gm)].map(([, name]) => name)).toEqual(injectorMetrics.map(([name]) => name))
})

describe('deploy/kubernetes/injector.yaml', () => {
  const objects = parseAllDocuments(readFileSync(join(root, 'deploy/kubernetes/injector.yaml'), 'utf8')).map(document =>
    mapOf(document.toJS()),
  )
  const of = (kind: string) => objects.find(each => each.kind === kind)!

  test('has the image of this version', () => {
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
    const spec = mapOf(mapOf(mapOf(of('Deployment').spec).template).spec)
    const [container] = mapsOf(spec.containers)
    expect(container!.image).toBe(`outrigger:${version}`)
    expect(container!.args).toContain(`--image=outrigger:${version}`)
  })

  test('a pod matches one webhook at most, and the namespaces of the system none', () => {
    const webhooks = mapsOf(of('MutatingWebhookConfiguration').webhooks)
    const key = `${PREFIX}inject`
    for (const inNamespace of [undefined, 'enabled', 'disabled', 'else'])
      for (const inPod of [undefined, 'enabled', 'disabled', 'else']) {
        const called = webhooks.filter(
          each =>
            matches(each.namespaceSelector, { [key]: inNamespace, 'kubernetes.io/metadata.name': 'shop' }) &&
            matches(each.objectSelector, { [key]: inPod }),
        ).length
        const wanted =
          inNamespace === 'enabled' ? inPod !== 'disabled' : inNamespace !== 'disabled' && inPod === 'enabled'
        expect([inNamespace, inPod, called]).toEqual([inNamespace, inPod, wanted ? 1 : 0])
      }
    for (const namespace of ['kube-system', 'kube-node-lease', 'outrigger-system'])
      for (const each of webhooks)
        expect(matches(each.namespaceSelector, { [key]: 'enabled', 'kubernetes.io/metadata.name': namespace })).toBe(
          false,
        )
  })
})

/** As Kubernetes does: NotIn holds for what is not there. */
function matches(selector: unknown, labels: Readonly<Record<string, string | undefined>>): boolean {
  return mapsOf(mapOf(selector).matchExpressions).every(({ key, operator, values }) => {
    const isIn = (values as string[]).includes(labels[String(key)] ?? '')
    return operator === 'In' ? isIn : !isIn
  })
}
