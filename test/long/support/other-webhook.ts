import { createPrivateKey } from 'node:crypto'
import { createServer } from 'node:https'
import { makeAuthority, makeServerCertificate } from '../../../inject/webhook/certificate.ts'
import { freePort } from '../../integration/support/ports.ts'
import type { Cluster } from './cluster.ts'

export interface OtherWebhook extends AsyncDisposable {
  calls(): number
}

const HOUR = 3_600_000
const PATH = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations'
const exporter = {
  name: 'exporter',
  image: 'example/exporter:1',
  ports: [{ containerPort: 9100, name: 'http-metrics' }],
}

/** A webhook of another project that adds a container to pods, after ours. */
export async function startOther(cluster: Cluster): Promise<OtherWebhook> {
  const authority = makeAuthority('other', Date.now(), HOUR)
  const by = { certificate: authority.certificate, key: createPrivateKey(authority.key) }
  const { certificate, key } = makeServerCertificate(['127.0.0.1'], by, Date.now(), HOUR)
  let calls = 0
  const server = createServer({ cert: certificate, key }, (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      calls++
      const { request: asked } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as {
        request: { uid: string; object: { spec: { containers: { name: string }[] } } }
      }
      const isThere = asked.object.spec.containers.some(({ name }) => name === exporter.name)
      const patch = isThere ? [] : [{ op: 'add', path: '/spec/containers/-', value: exporter }]
      response.setHeader('content-type', 'application/json')
      response.end(
        JSON.stringify({
          apiVersion: 'admission.k8s.io/v1',
          kind: 'AdmissionReview',
          response: {
            uid: asked.uid,
            allowed: true,
            patchType: 'JSONPatch',
            patch: Buffer.from(JSON.stringify(patch)).toString('base64'),
          },
        }),
      )
    })
  })
  const port = await freePort()
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  const { status, body } = await cluster.admin.ask('POST', PATH, {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name: 'z-other' },
    webhooks: [
      {
        name: 'other.example.com',
        admissionReviewVersions: ['v1'],
        sideEffects: 'None',
        clientConfig: {
          url: `https://127.0.0.1:${port}/`,
          caBundle: Buffer.from(authority.certificate).toString('base64'),
        },
        rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['pods'] }],
        objectSelector: { matchLabels: { app: 'shop' } },
      },
    ],
  })
  if (status !== 201) throw new Error(JSON.stringify(body))
  // The API server looks at its webhooks anew within a second or two.
  await new Promise(resolve => {
    setTimeout(resolve, 3_000)
  })
  return {
    calls: () => calls,
    async [Symbol.asyncDispose]() {
      // Without a way to delete in the client: no pod matches any more.
      await cluster.admin.ask('PATCH', `${PATH}/z-other`, [
        { op: 'replace', path: '/webhooks/0/objectSelector', value: { matchLabels: { none: 'none' } } },
      ])
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}
