import { expect, test } from 'vitest'
import { checkFile } from '../../../inject/check-file.ts'
import { applyEdits, type PatchOperation } from '../../../inject/edit.ts'
import { plan } from '../../../inject/plan.ts'
import { type Json, mapOf, mapsOf } from '../../../inject/shape.ts'
import { answerReview, type ReviewOptions, reviewPod } from '../../../inject/webhook/review.ts'
import { applyPatch } from '../support/json-patch.ts'
import { injectOptions } from '../support/options.ts'

const options: ReviewOptions = {
  ...injectOptions(),
  by: 'injector',
  excluded: new Set(['kube-system']),
  checkFile,
}

const app = { name: 'app', image: 'example/app:1', ports: [{ containerPort: 8080, name: 'http', protocol: 'TCP' }] }
const pod: Json = {
  metadata: { generateName: 'shop-', labels: { app: 'shop' } },
  spec: { containers: [app], volumes: [{ name: 'token', projected: {} }] },
}

const patched = (before: Json, patch: readonly PatchOperation[]) => applyPatch(before, patch) as Json
const names = (list: unknown) => mapsOf(list).map(({ name }) => name)

test('the patch is what the plan says', async () => {
  const verdict = await reviewPod(pod, 'shop', options)
  expect(verdict).toMatchObject({ result: 'injected', message: null })
  const planned = plan(pod, { kind: 'Pod', name: null }, options)
  expect(patched(pod, verdict.patch)).toEqual(planned.kind === 'inject' ? applyEdits(pod, planned.edits) : null)
})

test('a second call changes nothing, whatever Kubernetes has filled in meanwhile', async () => {
  const first = patched(pod, (await reviewPod(pod, 'shop', options)).patch)
  const spec = mapOf(first.spec)
  const filled = {
    ...first,
    spec: {
      ...spec,
      initContainers: mapsOf(spec.initContainers).map(each => ({
        ...each,
        terminationMessagePath: '/dev/termination-log',
        imagePullPolicy: 'IfNotPresent',
        volumeMounts: [...mapsOf(each.volumeMounts), { name: 'token', mountPath: '/var/run/secrets' }],
      })),
    },
  }
  expect(await reviewPod(filled, 'shop', options)).toMatchObject({ result: 'unchanged', patch: [] })
})

test('a container that another webhook adds gets its listener in the second call', async () => {
  const first = patched(pod, (await reviewPod(pod, 'shop', options)).patch)
  const spec = mapOf(first.spec)
  const [sidecar] = mapsOf(spec.initContainers)
  const more = {
    ...first,
    spec: {
      ...spec,
      initContainers: [
        {
          ...sidecar,
          volumeMounts: [...mapsOf(sidecar!.volumeMounts), { name: 'token', mountPath: '/var/run/secrets' }],
        },
        { name: 'late' },
      ],
      containers: [
        ...mapsOf(spec.containers),
        { name: 'exporter', image: 'x', ports: [{ containerPort: 9100, name: 'http-metrics' }] },
      ],
    },
  }
  const verdict = await reviewPod(more, 'shop', options)
  expect(verdict.result).toBe('again')
  const second = patched(more, verdict.patch)
  expect(names(mapOf(second.spec).initContainers)).toEqual(['outrigger', 'late'])
  expect(names(mapOf(second.spec).containers)).toEqual(['app', 'exporter'])
  expect(names(mapOf(second.spec).volumes)).toEqual(['outrigger-file', 'outrigger-state', 'token'])
  const [again] = mapsOf(mapOf(second.spec).initContainers)
  expect(names(again!.ports)).toEqual(['outrigger-stats', 'mesh-http', 'mesh-9100'])
  expect(mapsOf(again!.volumeMounts).map(({ mountPath }) => mountPath)).toContain('/var/run/secrets')
  expect(mapOf(mapOf(second.metadata).annotations)['outrigger.io/sidecar']).toContain('127.0.0.1:9100')
  expect(await reviewPod(second, 'shop', options)).toMatchObject({ result: 'unchanged' })
})

test('a part that another webhook removed comes back', async () => {
  const first = patched(pod, (await reviewPod(pod, 'shop', options)).patch)
  const without = { ...first, spec: { ...mapOf(first.spec), initContainers: [] } }
  const second = patched(without, (await reviewPod(without, 'shop', options)).patch)
  expect(names(mapOf(second.spec).initContainers)).toEqual(['outrigger'])
})

test('a pod of an injected manifest stays as it is', async () => {
  const planned = plan(pod, { kind: 'Pod', name: null }, { ...options, by: 'inject', image: 'other:2' })
  const manifest = planned.kind === 'inject' ? applyEdits(pod, planned.edits) : pod
  expect(await reviewPod(manifest, 'shop', options)).toMatchObject({ result: 'unchanged', patch: [] })
})

test('what asks for the impossible is denied with the remedy; what asks for nothing passes with a warning', async () => {
  const spec = { ...mapOf(pod.spec), hostNetwork: true }
  expect(await reviewPod({ ...pod, spec }, 'shop', options)).toMatchObject({
    result: 'skipped',
    message: null,
    warnings: ['outrigger: shop- is not injected: hostNetwork: the ports of the sidecar would be ports of the node'],
  })
  const annotated = (annotations: Json) => ({ ...pod, spec, metadata: { ...mapOf(pod.metadata), annotations } })
  expect(await reviewPod(annotated({ 'outrigger.io/intercept': 'enabled' }), 'shop', options)).toMatchObject({
    result: 'denied',
    message: expect.stringMatching(/^outrigger: hostNetwork: .* remove the annotation$/),
  })
  const wrong = { ...pod, metadata: { labels: { app: 'x' }, annotations: { 'outrigger.io/config': 'admn: off' } } }
  expect((await reviewPod(wrong, 'shop', options)).message).toContain('did you mean "admin"?')
})

test('pods of excluded namespaces pass, whatever they say', async () => {
  const wrong = { ...pod, metadata: { annotations: { 'outrigger.io/nonsense': 'x' } } }
  expect(await reviewPod(wrong, 'kube-system', options)).toMatchObject({ result: 'skipped', patch: [], message: null })
})

test('reviews of other things are allowed, and what is no review is none', async () => {
  const review = (request: Json) => ({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', request })
  const other = review({ uid: '1', kind: { kind: 'Service' }, operation: 'CREATE', object: {} })
  expect((await answerReview(other, options))?.body.response).toEqual({ uid: '1', allowed: true })
  for (const bad of [null, 1, [], {}, { request: {} }, { ...other, apiVersion: 'admission.k8s.io/v1beta1' }])
    expect(await answerReview(bad, options)).toBeNull()
  // A pod of any shape is answered.
  for (const object of [
    {},
    { spec: 1 },
    { spec: { containers: 'x' } },
    { metadata: [], spec: { containers: [null, 1, {}] } },
  ])
    expect(
      (await answerReview(review({ uid: '2', kind: { kind: 'Pod' }, operation: 'CREATE', object }), options))?.body
        .response,
    ).toMatchObject({ uid: '2' })
})
