/** The names by which what injection adds to a pod is known, and found again. */

export const PREFIX = 'outrigger.io/'

export const annotation = {
  /** The file of the sidecar, which it reads from a downwardAPI volume (decision 0052). */
  file: `${PREFIX}sidecar`,
  /** What was added, and by which version. */
  injected: `${PREFIX}injected`,
  defaultContainer: 'kubectl.kubernetes.io/default-container',
} as const

export const container = { sidecar: 'outrigger', intercept: 'outrigger-intercept' } as const
export const volume = {
  file: 'outrigger-file',
  state: 'outrigger-state',
  agent: 'outrigger-agent',
  account: 'outrigger-account',
} as const

/** The lists of a pod's spec that get items. */
export const lists = ['initContainers', 'containers', 'volumes'] as const
export type ListName = (typeof lists)[number]

const ownNames: Readonly<Record<ListName, readonly string[]>> = {
  initContainers: [container.intercept, container.sidecar],
  containers: [container.sidecar],
  volumes: Object.values(volume),
}

export function isOurs(list: ListName, name: unknown): boolean {
  return typeof name === 'string' && ownNames[list].includes(name)
}

export const FILE_FOLDER = '/etc/outrigger'
export const STATE_FOLDER = '/var/lib/outrigger'
/** Where Kubernetes mounts the service account of a pod. */
export const ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount'
/** Where the agent of a node has its socket. */
export const AGENT_FOLDER = '/run/outrigger'
