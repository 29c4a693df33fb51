import { documentBook } from '../../../agent/policy/documents.ts'
import type { PolicyDocument } from '../../../agent/policy/source.ts'
import { noRollouts, type Rollouts } from '../../../agent/rollouts.ts'

export function document(service: string, text: string, at = `${service}.yaml`): PolicyDocument {
  return { service, at, text, version: text, errors: [], warnings: [] }
}

/** A book of documents, and what it told. */
export function testBook({ order = ['files', 'consul kv'], rollouts = noRollouts as Rollouts } = {}) {
  const changes: string[] = []
  const refusals: string[] = []
  const book = documentBook({
    order,
    local: new Set(['files']),
    env: {},
    rollouts,
    onChange: services => void changes.push(services === 'all' ? 'all' : [...services].sort().join()),
    onRefused: ({ at, errors }) => void refusals.push(`${at}: ${errors.join('; ')}`),
    onAccepted: () => {},
  })
  const inForce = () =>
    Object.fromEntries([...book.inForce().values()].map(held => [held.document.at, held.document.text]))
  const refused = () => Object.fromEntries(book.refused().map(({ at, errors }) => [at, errors]))
  return { book, changes, refusals, inForce, refused }
}
