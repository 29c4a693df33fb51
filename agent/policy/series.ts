import type { AgentMetrics } from '../metrics.ts'
import type { Policies } from './policies.ts'

/** More refused documents have no series of their own. */
const MAX_NAMED = 100

/** Series of sources and documents. */
export function policySeries(metrics: AgentMetrics, policies: Policies): void {
  const { gauge } = metrics
  gauge('outrigger_agent_source_up', 'Whether a source of policies answers.', ['source'], series => {
    for (const { source, trouble, answeredAt } of policies.sources())
      series.set({ source: source.name }, trouble === '' && answeredAt !== null ? 1 : 0)
  })
  gauge('outrigger_agent_source_age_seconds', 'Since a source of policies delivered documents.', ['source'], series => {
    for (const { source, answeredAt } of policies.sources())
      if (answeredAt !== null) series.set({ source: source.name }, (Date.now() - answeredAt) / 1000)
  })
  gauge('outrigger_agent_policy_documents', 'Policy documents in force.', ['source'], series => {
    for (const { source } of policies.sources()) series.set({ source: source.name }, 0)
    for (const { source } of policies.documents.inForce().values()) series.inc({ source })
  })
  gauge('outrigger_agent_policy_documents_refused', 'Policy documents that are refused.', ['source'], series => {
    for (const { source } of policies.sources()) series.set({ source: source.name }, 0)
    for (const { source } of policies.documents.refused()) series.inc({ source })
  })
  gauge(
    'outrigger_agent_policy_refused',
    '1 for a document that is refused, and which.',
    ['source', 'document'],
    series => {
      for (const { source, at } of policies.documents.refused().slice(0, MAX_NAMED))
        series.set({ source, document: at }, 1)
    },
  )
}
