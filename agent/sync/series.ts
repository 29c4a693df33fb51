import type { AgentMetrics } from '../metrics.ts'
import type { FollowServer } from './follow.ts'

/** Series of the proxies that follow. */
export function followSeries({ gauge, counter }: AgentMetrics, follow: FollowServer): void {
  gauge('outrigger_agent_followers', 'Proxies that follow this agent.', [], series => {
    series.set(follow.connected().proxies)
  })
  gauge(
    'outrigger_agent_followers_stale',
    'Proxies that have another version of a policy than they should.',
    [],
    series => {
      series.set(follow.connected().stale)
    },
  )
  const { counts } = follow
  const counted = [
    ['outrigger_agent_follows_total', 'Streams of proxies that began.', () => counts.connects],
    ['outrigger_agent_follow_refusals_total', 'Streams of proxies that were refused.', () => counts.refusals],
    ['outrigger_agent_updates_total', 'Policies sent to proxies.', () => counts.updates],
    ['outrigger_agent_acks_total', 'Policies that proxies put in force.', () => counts.acks],
    ['outrigger_agent_nacks_total', 'Policies that proxies refused.', () => counts.nacks],
    ['outrigger_agent_follow_stalls_total', 'Proxies cut off because they read nothing.', () => counts.stalled],
  ] as const
  for (const [name, help, value] of counted)
    counter(name, help, [], series => {
      series.inc(value())
    })
}
