import { containerOfUser, inboundListeners, portsOf, serviceOf, workloadOf } from './application.ts'
import { readAnnotations } from './asked.ts'
import { type Additions, type Collection, type Edit, editsOf, missingIn } from './edit.ts'
import { annotation, isOurs, lists, PREFIX, volume } from './names.ts'
import { interceptContainer, sidecarContainer, volumesOf } from './parts.ts'
import { clashes, elsewhere, notes, notFor } from './refusals.ts'
import { hasDns, type Options, settingsOf } from './settings.ts'
import { type Json, mapOf, mapsOf, own, textOf } from './shape.ts'
import { asksOwnCluster, sidecarFile } from './sidecar-file.ts'
import { digest, type Status } from './status.ts'
import { parseConfig, yamlText } from './yaml-values.ts'

/** What injection does with a pod. */
export type Plan =
  /** `file`: the text of the sidecar file, to be checked by `check-file.ts` before anything is done. */
  | {
      readonly kind: 'inject'
      readonly edits: readonly Edit[]
      readonly status: Status
      readonly file: string
      readonly notes: readonly string[]
    }
  /** It stays as it is, and this is no error. */
  | { readonly kind: 'skip'; readonly why: string }
  /** It asks for something that cannot be done. */
  | { readonly kind: 'refuse'; readonly errors: readonly string[] }

/** A CronJob and a Job are what ends by itself. */
export interface Whereabouts {
  readonly kind: string
  /** The name of the workload, where the pod does not tell. */
  readonly name: string | null
}

/** The file is kept below half of what annotations may have: `kubectl apply` keeps a second copy of a whole Pod. */
const MAX_FILE_BYTES = 120 * 1024

/**
 * The one decision: a pod, or the template of one, without anything injected. The command line and the webhook both ask
 * it.
 */
export function plan(pod: Json, { kind, name }: Whereabouts, options: Options): Plan {
  const metadata = mapOf(pod.metadata)
  const labels = mapOf(metadata.labels)
  const { asked, errors } = readAnnotations(mapOf(metadata.annotations), labels)
  if (asked.inject === 'disabled' || own(labels, `${PREFIX}inject`) === 'disabled')
    return { kind: 'skip', why: `${PREFIX}inject: disabled` }
  const spec = mapOf(pod.spec)
  const away = elsewhere(pod)
  if (away !== null) return { kind: 'refuse', errors: [away] }
  const settings = settingsOf(asked, options)
  const unfit = notFor(spec, settings)
  if (unfit?.isError === false) return { kind: 'skip', why: unfit.why }
  const service = serviceOf(labels, asked.service, name ?? workloadOf(metadata))
  const ports = portsOf(spec)
  const listeners = asked.sidecar === null ? inboundListeners(ports, settings) : []
  const found = [
    ...errors,
    ...(unfit === null ? [] : [unfit.why]),
    ...(service === null && asked.sidecar === null
      ? [`nothing names the service of this pod: set ${PREFIX}service, or the label app.kubernetes.io/name`]
      : []),
    ...clashes({ spec, kind, ports, listeners, settings, sameUser: containerOfUser(spec, settings.user) }),
    ...takenNames(spec),
  ]
  const config = asked.config === null ? {} : parseConfig(asked.config)
  if (typeof config === 'string') found.push(`${PREFIX}config: ${config}`)
  if (found.length > 0 || typeof config === 'string') return { kind: 'refuse', errors: found }

  const graceSeconds = Number(spec.terminationGracePeriodSeconds ?? 30)
  const made = sidecarFile({ service: service ?? '', listeners, settings, graceSeconds }, config)
  const file = asked.sidecar ?? yamlText(made)
  const given = asked.sidecar === null ? made : parseConfig(asked.sidecar)
  const asksCluster = typeof given !== 'string' && asksOwnCluster(given)
  if (Buffer.byteLength(file) > MAX_FILE_BYTES)
    return {
      kind: 'refuse',
      errors: [`the sidecar file would have more than ${MAX_FILE_BYTES / 1024} KiB: shorten ${PREFIX}config`],
    }
  const isNative = settings.mode === 'native'
  const sidecar = sidecarContainer(settings, listeners, asksCluster)
  const rules = settings.intercept.outbound ? [interceptContainer(settings)] : []
  const first = textOf(mapsOf(spec.containers)[0]?.name)
  const isShown = own(mapOf(metadata.annotations), annotation.defaultContainer) !== undefined
  const added: Additions = {
    annotations: {
      ...(asked.sidecar === null ? { [annotation.file]: file } : {}),
      ...(isNative || isShown || first === null ? {} : { [annotation.defaultContainer]: first }),
    },
    spec: {},
    lists: isNative
      ? [
          { list: 'initContainers', at: 'first', values: [...rules, sidecar] },
          { list: 'volumes', at: 'first', values: volumesOf(settings, asksCluster) },
        ]
      : [
          // Init containers come before a classic sidecar runs, and would have no network after the rules.
          { list: 'initContainers', at: 'last', values: rules },
          { list: 'containers', at: 'first', values: [sidecar] },
          { list: 'volumes', at: 'first', values: volumesOf(settings, asksCluster) },
        ],
  }
  const additions = { ...added, lists: added.lists.filter(({ values }) => values.length > 0) }
  const missing = missingIn(pod, { ...additions, annotations: { [annotation.injected]: '' } })
  const isNull = (name: Collection) =>
    (name === 'metadata' ? pod.metadata : name === 'annotations' ? metadata.annotations : spec[name]) === null
  const status: Status = {
    version: options.version,
    by: options.by,
    mode: settings.mode,
    made: missing.filter(name => !isNull(name)),
    filled: missing.filter(isNull),
    annotations: Object.keys(additions.annotations),
    spec: Object.keys(additions.spec),
    plan: digest(additions),
    file: digest(file),
  }
  const withStatus = { ...additions.annotations, [annotation.injected]: JSON.stringify(status) }
  return {
    kind: 'inject',
    edits: editsOf(pod, { ...additions, annotations: withStatus }),
    status,
    file,
    notes: notes({ spec, settings, listeners, graceSeconds, hasDns: hasDns(settings) }),
  }
}

/** Names that belong to injection, in a pod that it has not touched. */
function takenNames(spec: Json): string[] {
  return lists.flatMap(list =>
    mapsOf(spec[list])
      .filter(({ name }) => isOurs(list, name) || (list === 'containers' && isOurs('initContainers', name)))
      .map(
        ({ name }) =>
          `${list} has "${String(name)}" already, and ${annotation.injected} is missing: ${
            Object.values<unknown>(volume).includes(name) ? 'rename the volume' : 'remove it, or rename it'
          }`,
      ),
  )
}
