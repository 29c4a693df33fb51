import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { KubernetesSpec } from '../../../mesh-config/snapshot.ts'

/** Where the API server is, and what it is shown. */
export interface Way {
  readonly address: string
  readonly token: string | null
  readonly tokenFile: string | null
  readonly tls: KubernetesSpec['tls']
  /** Of names that have none. */
  readonly namespace: string
}

/** The service account of a pod, as the kubelet mounts it. */
const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'

/**
 * What the files say, and what a pod knows without them. Throws an Error for people where neither says how to reach the
 * API server.
 */
export function wayOf(spec: KubernetesSpec, env: NodeJS.ProcessEnv, account = ACCOUNT): Way {
  const { token, tokenFile, tls } = spec
  // The token of a pod is for the API server of its cluster alone.
  const isOwnCluster = spec.address === null
  const isGiven = token !== null || tokenFile !== null || tls.cert !== null
  return {
    address: spec.address ?? serverOf(env),
    token,
    tokenFile: tokenFile ?? (isOwnCluster && !isGiven ? join(account, 'token') : null),
    tls: isOwnCluster && tls.ca === null ? { ...tls, ca: join(account, 'ca.crt') } : tls,
    namespace: spec.namespace ?? (namespaceIn(account) || env.POD_NAMESPACE || 'default'),
  }
}

function serverOf({ KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port }: NodeJS.ProcessEnv): string {
  if (!host)
    throw new Error(
      'this is no pod of Kubernetes (KUBERNETES_SERVICE_HOST is not set): write discovery.kubernetes.address, with tokenFile and tls.ca',
    )
  return `https://${host.includes(':') ? `[${host}]` : host}:${port || '443'}`
}

function namespaceIn(account: string): string {
  try {
    return readFileSync(join(account, 'namespace'), 'utf8').trim()
  } catch {
    return ''
  }
}
