import { applyEdits, type PatchOperation, patchOf, pointer } from '../edit.ts'
import { annotation, isOurs, lists } from '../names.ts'
import { type Plan, plan } from '../plan.ts'
import type { Options } from '../settings.ts'
import { isMap, type Json, mapOf, mapsOf, own, textOf } from '../shape.ts'
import { type Status, statusOf } from '../status.ts'
import { withdraw } from '../withdraw.ts'

/** The view of the webhook: what is said of a pod that is about to be created. */
export interface Verdict {
  readonly result: 'injected' | 'again' | 'unchanged' | 'skipped' | 'denied'
  /** Empty: the pod stays as it is. */
  readonly patch: readonly PatchOperation[]
  readonly warnings: readonly string[]
  /** Why it is denied. */
  readonly message: string | null
}

export interface ReviewOptions extends Options {
  /** Their pods are never touched, whatever the MutatingWebhookConfiguration says. */
  readonly excluded: ReadonlySet<string>
  /** Why the sidecar would refuse its file; empty: it will not. */
  checkFile(file: string): Promise<readonly string[]>
}

/**
 * A pod that asks for what cannot be done is denied: without the sidecar it would run, and not as it asks to. A pod
 * that asks for nothing and is not fit for a sidecar passes with a warning.
 */
export async function reviewPod(pod: Json, namespace: string, options: ReviewOptions): Promise<Verdict> {
  if (options.excluded.has(namespace)) return passed('skipped')
  let status: Status | null
  try {
    status = statusOf(pod)
  } catch (error) {
    return denied([(error as Error).message])
  }
  // Injected before it was applied: that one has its own options.
  if (status?.by === 'inject') return passed('unchanged')
  const bare = status === null ? pod : withdraw(pod, status)
  const planned = plan(bare, { kind: ownerOf(pod), name: null }, options)
  if (planned.kind === 'skip') return passed('skipped', [`outrigger: ${nameOf(pod)} is not injected: ${planned.why}`])
  if (planned.kind === 'refuse') return denied(planned.errors)
  // The second call in one admission: nothing is new where the plan is the same.
  if (status !== null && planned.status.plan === status.plan && isWhole(pod, planned)) return passed('unchanged')
  const wrong = await options.checkFile(planned.file)
  if (wrong.length > 0) return denied(wrong)
  const warnings = planned.notes.map(note => `outrigger: ${nameOf(pod)}: ${note}`)
  if (status === null) return { result: 'injected', patch: patchOf(planned.edits), warnings, message: null }
  return { result: 'again', patch: replacing(pod, bare, planned), warnings, message: null }
}

type Injection = Extract<Plan, { kind: 'inject' }>

/** Other webhooks have added containers or changed annotations since the first call: our parts are made anew. */
function replacing(pod: Json, bare: Json, { edits }: Injection): PatchOperation[] {
  const wanted = applyEdits(bare, edits)
  const operations: PatchOperation[] = []
  const [before, after] = [mapOf(pod.spec), mapOf(wanted.spec)]
  for (const list of lists) {
    const old = mapsOf(before[list])
    const next = mapsOf(after[list]).map(item => (isOurs(list, item.name) ? withMounts(item, old) : item))
    if (next.length > 0)
      operations.push({
        op: before[list] === undefined ? 'add' : 'replace',
        path: pointer(['spec', list]),
        value: next,
      })
    else if (before[list] !== undefined) operations.push({ op: 'remove', path: pointer(['spec', list]) })
  }
  const annotations = mapOf(mapOf(wanted.metadata).annotations)
  operations.push({ op: 'add', path: '/metadata/annotations', value: annotations })
  return operations
}

/** Mounts that others have given our container, such as the token of the service account. */
function withMounts(item: Json, old: readonly Json[]): Json {
  const paths = new Set(mapsOf(item.volumeMounts).map(({ mountPath }) => mountPath))
  const before = mapsOf(old.find(({ name }) => name === item.name)?.volumeMounts)
  const others = before.filter(({ mountPath, name }) => !paths.has(mountPath) && !isOurs('volumes', name))
  return others.length === 0 ? item : { ...item, volumeMounts: [...mapsOf(item.volumeMounts), ...others] }
}

/** All that the plan adds is still there. */
function isWhole(pod: Json, { edits }: Injection): boolean {
  const spec = mapOf(pod.spec)
  return (
    edits.every(edit => {
      const [list, values] =
        edit.kind === 'items' ? [edit.list, edit.values] : [lists.find(each => each === edit.key), mapsOf(edit.value)]
      return list === undefined || values.every(({ name }) => mapsOf(spec[list]).some(each => each.name === name))
    }) && own(mapOf(mapOf(pod.metadata).annotations), annotation.file) !== undefined
  )
}

function ownerOf(pod: Json): string {
  return textOf(mapsOf(mapOf(pod.metadata).ownerReferences)[0]?.kind) ?? 'Pod'
}

function nameOf({ metadata }: Json): string {
  return textOf(mapOf(metadata).name) ?? textOf(mapOf(metadata).generateName) ?? 'the pod'
}

function passed(result: Verdict['result'], warnings: readonly string[] = []): Verdict {
  return { result, patch: [], warnings, message: null }
}

function denied(errors: readonly string[]): Verdict {
  return { result: 'denied', patch: [], warnings: [], message: `outrigger: ${errors.join('; ')}` }
}

/** The bounds that the API server has for warnings. */
const MAX_WARNING = 256
const MAX_WARNINGS = 10

/** An AdmissionReview answered; null: it is none. */
export async function answerReview(
  review: unknown,
  options: ReviewOptions,
): Promise<{ readonly verdict: Verdict; readonly body: Json } | null> {
  const request = isMap(review) ? review.request : null
  const uid = textOf(mapOf(request).uid)
  if (!isMap(request) || uid === null || !isMap(review) || review.apiVersion !== 'admission.k8s.io/v1') return null
  const isPod = mapOf(request.kind).kind === 'Pod' && request.operation === 'CREATE' && isMap(request.object)
  const verdict = isPod
    ? await reviewPod(request.object as Json, textOf(request.namespace) ?? '', options)
    : passed('skipped')
  const response = {
    uid,
    allowed: verdict.message === null,
    ...(verdict.patch.length === 0
      ? {}
      : { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(verdict.patch)).toString('base64') }),
    ...(verdict.message === null ? {} : { status: { code: 422, reason: 'Invalid', message: verdict.message } }),
    ...(verdict.warnings.length === 0
      ? {}
      : { warnings: verdict.warnings.slice(0, MAX_WARNINGS).map(text => text.slice(0, MAX_WARNING)) }),
  }
  return { verdict, body: { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response } }
}
