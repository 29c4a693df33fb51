import type { Environment } from '../../mesh-config/environment.ts'
import type { AgentPart } from '../part.ts'
import type { Policies } from './policies.ts'
import { addPolicies } from './service.ts'

/** Policy documents as a part of the agent. */
export function policyPart(policies: Policies, env: Environment): AgentPart {
  return {
    name: 'policy',
    register: server => addPolicies(server, policies, env),
    start: policies.start,
    stop: policies.stop,
  }
}
