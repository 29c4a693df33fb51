import type { EndpointView } from './channel.ts'

/**
 * One word for how an endpoint is, wherever there is room for one only: what discovery says of it where that is not
 * `passing`, else what outlier detection does with it.
 */
export function endpointState({ health, state }: Pick<EndpointView, 'health' | 'state'>): string {
  return health === 'passing' ? state : health
}
