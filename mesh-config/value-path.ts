import type { Path } from './located.ts'

/** A value that is shown on one line: everything but a map and a list of maps. */
export function isLeaf(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true
  return Array.isArray(value) ? !value.some(item => typeof item === 'object') : Object.keys(value).length === 0
}

export function formatPath(path: Path): string {
  return path.map((step, index) => (typeof step === 'number' ? `[${step}]` : index === 0 ? step : `.${step}`)).join('')
}
