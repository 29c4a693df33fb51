import { type Json, mapOf, mapsOf, textOf } from '../shape.ts'
import { type Kubernetes, whyNot } from './kubernetes.ts'
import { type Held, type Lifetimes, rotated } from './rotation.ts'

/**
 * Keeps the certificate that all replicas share: in a Secret, without a leader. Each reads it, and writes what it finds
 * missing or old; where two write, the API server refuses one, which reads again.
 */

export interface Keeping {
  readonly secret: string
  readonly webhooks: string
  /** The names by which the API server calls the webhook. */
  readonly names: readonly string[]
  readonly lifetimes: Lifetimes
}

const keys = {
  authorities: 'ca.crt',
  authorityKey: 'ca.key',
  certificate: 'tls.crt',
  key: 'tls.key',
} as const satisfies Record<keyof Held, string>

/** What is held now, after it was made or rotated where need be. Rejects with a reason for people. */
export async function keepCertificate(kubernetes: Kubernetes, keeping: Keeping, now: number): Promise<Held> {
  const { secret, names, lifetimes } = keeping
  const all = `/api/v1/namespaces/${kubernetes.namespace}/secrets`
  for (let tries = 0; tries < 5; tries++) {
    const found = await kubernetes.ask('GET', `${all}/${secret}`)
    if (found.status !== 200 && found.status !== 404)
      throw new Error(`the Secret ${secret} cannot be read: ${whyNot(found)}`)
    const held = found.status === 200 ? heldIn(found.body) : null
    const next = rotated(held, names, now, lifetimes)
    if (next === held) return held
    const body = {
      ...(found.status === 200 ? found.body : { apiVersion: 'v1', kind: 'Secret', type: 'Opaque' }),
      metadata: { ...mapOf(found.body.metadata), name: secret, namespace: kubernetes.namespace },
      data: { ...mapOf(found.body.data), ...dataOf(next) },
    }
    // With the version that was read, in metadata: where another replica has written meanwhile it is refused.
    const written =
      found.status === 200
        ? await kubernetes.ask('PUT', `${all}/${secret}`, body)
        : await kubernetes.ask('POST', all, body)
    if (written.status === 200 || written.status === 201) return next
    if (written.status !== 409) throw new Error(`the Secret ${secret} cannot be written: ${whyNot(written)}`)
  }
  throw new Error(`the Secret ${secret} is written by others again and again`)
}

function heldIn({ data }: Json): Held | null {
  const read = (key: string) => Buffer.from(textOf(mapOf(data)[key]) ?? '', 'base64').toString('utf8')
  const held = {
    authorities: read(keys.authorities),
    authorityKey: read(keys.authorityKey),
    certificate: read(keys.certificate),
    key: read(keys.key),
  }
  return Object.values(held).includes('') ? null : held
}

function dataOf(held: Held): Record<string, string> {
  return Object.fromEntries(
    Object.entries(keys).map(([field, key]) => [key, Buffer.from(held[field as keyof Held]).toString('base64')]),
  )
}

/** Makes the API server trust what is held. Resolves to whether anything had to be changed. */
export async function trustIn(kubernetes: Kubernetes, { webhooks }: Keeping, held: Held): Promise<boolean> {
  const path = `/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/${webhooks}`
  const found = await kubernetes.ask('GET', path)
  if (found.status !== 200)
    throw new Error(`the MutatingWebhookConfiguration ${webhooks} cannot be read: ${whyNot(found)}`)
  const bundle = Buffer.from(held.authorities).toString('base64')
  const stale = mapsOf(found.body.webhooks)
    .map((webhook, index) => ({ index, bundle: mapOf(webhook.clientConfig).caBundle }))
    .filter(each => each.bundle !== bundle)
  if (stale.length === 0) return false
  const version = mapOf(found.body.metadata).resourceVersion
  const written = await kubernetes.ask('PATCH', path, [
    { op: 'test', path: '/metadata/resourceVersion', value: version },
    ...stale.map(({ index }) => ({ op: 'add', path: `/webhooks/${index}/clientConfig/caBundle`, value: bundle })),
  ])
  // Another replica, or a user, has written meanwhile: the next round looks again.
  if (written.status === 409 || written.status === 422) return true
  if (written.status !== 200)
    throw new Error(`the MutatingWebhookConfiguration ${webhooks} cannot be written: ${whyNot(written)}`)
  return true
}
