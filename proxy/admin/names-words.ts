import type { NamesView, ServiceNameView } from './views.ts'

export function namesSummary({ listen, domain, servers }: NamesView): string {
  const others = servers.length === 0 ? 'no name server is known for other names' : `other names: ${servers.join(', ')}`
  return `the name server at ${listen} answers for *.${domain}; ${others}`
}

export function stateOf({ inUse, usedAt }: ServiceNameView): string {
  return inUse ? 'answered' : `kept since ${usedAt}`
}
