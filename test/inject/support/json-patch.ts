import type { PatchOperation } from '../../../inject/edit.ts'

/** RFC 6902, as the API server applies it: add, replace and remove. Throws where a path is not there. */
export function applyPatch(document: unknown, patch: readonly PatchOperation[]): unknown {
  const copy = structuredClone(document)
  for (const { op, path, value } of patch) {
    const steps = path
      .split('/')
      .slice(1)
      .map(step => step.replaceAll('~1', '/').replaceAll('~0', '~'))
    const last = steps.pop()!
    let target = copy as Record<string, unknown>
    for (const step of steps) {
      if (!Object.hasOwn(target, step)) throw new Error(`${path} is not there`)
      target = target[step] as Record<string, unknown>
    }
    if (op !== 'add' && !Object.hasOwn(target, last)) throw new Error(`${path} is not there`)
    if (!Array.isArray(target)) {
      if (op === 'remove') delete target[last]
      else target[last] = structuredClone(value)
    } else if (op === 'add') target.splice(last === '-' ? target.length : Number(last), 0, structuredClone(value))
    else target.splice(Number(last), 1, ...(op === 'remove' ? [] : [structuredClone(value)]))
  }
  return copy
}
