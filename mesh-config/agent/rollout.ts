/** The `rollout` of a policy document: keys for the agent only, spread into the schema (policy-document.ts). */
export const rolloutKeys = {}
