import { durationMs } from './duration.ts'
import type { ServicePolicy } from './service.ts'
import type { PrioritySpec, QueueSpec } from './snapshot.ts'

export function compileQueue(queue: ServicePolicy['queue']): { queue?: QueueSpec } {
  if (queue === undefined) return {}
  const { requests, interval, target } = queue
  return { queue: { requests, intervalMs: durationMs(interval), targetMs: durationMs(target) } }
}

export function compilePriority(priority: ServicePolicy['priority']): { priority?: PrioritySpec } {
  if (priority === undefined) return {}
  return { priority: { header: priority.header?.toLowerCase() ?? '', usual: priority.default } }
}
