import { nearest } from '../mesh-config/nearest.ts'
import { type AnnotationName, type Asked, annotations } from './annotations.ts'
import { PREFIX } from './names.ts'
import { type Json, own } from './shape.ts'

export interface Reading {
  readonly asked: Asked
  /** Each names its annotation and says what to write. */
  readonly errors: readonly string[]
}

const names = Object.keys(annotations) as AnnotationName[]
/** All annotations of an object together, as the API server counts them. */
const MAX_BYTES = 256 * 1024

/** Reads the annotations of a pod. An unknown one is an error: a typing error would have no effect, and say nothing. */
export function readAnnotations(all: Json, labels: Json): Reading {
  const errors: string[] = []
  const asked = Object.fromEntries(
    names.map(name => {
      const given = own(all, PREFIX + name)
      return [name, given === undefined || given === null ? null : readValue(name, given, errors)]
    }),
  ) as Asked
  for (const key of Object.keys(all)) {
    if (!key.startsWith(PREFIX) || Object.hasOwn(annotations, key.slice(PREFIX.length))) continue
    const meant = nearest(key.slice(PREFIX.length), names)
    const fix = meant === null ? 'docs/kubernetes.md lists all of them' : `did you mean ${PREFIX}${meant}?`
    errors.push(`${key}: there is no such annotation: ${fix}`)
  }
  for (const [key, value] of Object.entries(labels)) {
    if (key === `${PREFIX}inject`) {
      if (value !== 'enabled' && value !== 'disabled')
        errors.push(`the label ${key}: "${String(value)}" is not one of enabled, disabled`)
    } else if (key.startsWith(PREFIX) && Object.hasOwn(annotations, key.slice(PREFIX.length)))
      errors.push(`${key} is a label here and has no effect: write it under annotations`)
  }
  const bytes = Object.entries(all).reduce(
    (sum, [key, value]) => sum + key.length + Buffer.byteLength(String(value)),
    0,
  )
  if (bytes > MAX_BYTES)
    errors.push(`the annotations of the pod have ${bytes} bytes, and Kubernetes takes ${MAX_BYTES}`)
  return { asked, errors }
}

function readValue(name: AnnotationName, given: unknown, errors: string[]): unknown {
  if (typeof given !== 'string') {
    const written = typeof given === 'object' ? 'a text, for a map by a block: |' : `"${String(given)}", with quotes`
    errors.push(`${PREFIX}${name}: Kubernetes takes texts only: write ${written}`)
    return null
  }
  const read = annotations[name].read(given)
  if ('value' in read) return read.value
  const shown = given.length > 80 ? `${given.slice(0, 77)}...` : given
  errors.push(`${PREFIX}${name}: "${shown.replaceAll('\n', ' ')}" ${read.wrong}`.replace('" : ', '": '))
  return null
}
