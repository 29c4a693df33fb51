import type { Policies } from './policies.ts'

/** The sources as `outrigger status` has them: `Source` of control.proto. */
export function sourcesInStatus(policies: Policies) {
  const documents = [...policies.documents.inForce().values()]
  const now = Date.now()
  return policies.sources().map(({ source: { name }, trouble, answeredAt }) => ({
    name,
    trouble: answeredAt === null && trouble === '' ? 'it has not answered yet' : trouble,
    ageMs: answeredAt === null ? 0 : Math.max(0, now - answeredAt),
    documents: documents.filter(({ source }) => source === name).length,
  }))
}

/** What is refused, as `outrigger status` has it: `Document` of control.proto, as far as it is of interest there. */
export function refusedInStatus(policies: Policies) {
  return policies.documents.refused().map(({ service, at, document, errors }) => ({
    service,
    at,
    version: document?.version ?? '',
    errors,
  }))
}
