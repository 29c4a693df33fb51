import type { EndpointsAnswer } from '../core/channel.ts'
import type { CheckedService } from '../core/health-checks.ts'
import { printable } from '../core/printable.ts'
import type { ServiceStatus } from '../core/source.ts'
import { type Ask, askAll, missingNote } from './ask.ts'
import { mergeEndpoints } from './endpoints-merge.ts'
import { readSelection, select } from './endpoints-select.ts'
import { serviceText } from './endpoints-text.ts'
import { eitherAnswer, errorAnswer } from './page.ts'
import type { Page } from './page-types.ts'

export function endpointsPage(
  ask: Ask,
  discovery: () => readonly ServiceStatus[],
  checks: () => readonly CheckedService[] = () => [],
): Page {
  return {
    path: '/endpoints',
    methods: ['GET'],
    shows: 'every endpoint: weight, load, health, latency; where it was found; why it is not used and for how long',
    parameters: '?service=orders&zone=a&only=ejected&sort=p99&limit=20',
    async answer(request) {
      const selection = readSelection(request.query)
      if (typeof selection === 'string') return errorAnswer(request, 400, selection)
      const asked = await askAll<EndpointsAnswer>(ask, { what: 'endpoints' }, request)
      if ('status' in asked) return asked
      const known = new Map(discovery().map(status => [status.name, status]))
      const checked = new Map(checks().map(each => [each.name, each]))
      const services = mergeEndpoints(asked.answers.map(({ answer }) => answer))
        .filter(({ name }) => selection.service === null || name === selection.service)
        .map(service => ({
          ...service,
          sources: known.get(service.name)?.sources ?? [],
          checks: checked.get(service.name) ?? null,
        }))
      const shown = services.map(service => ({
        ...service,
        ...checkedView(select(service.endpoints, selection), service.checks),
      }))
      const missing = missingNote(asked.silent)
      const value = { services: shown, ...(asked.silent.length > 0 && { silentThreads: asked.silent }) }
      const text = () => {
        const nobody =
          selection.service === null
            ? 'no services are configured\n'
            : `no service is called ${printable(selection.service)}\n`
        const all = services
          .map((service, index) => serviceText(service, shown[index]!.endpoints, selection))
          .join('\n')
        return (services.length > 0 ? all : nobody) + missing
      }
      const content = async () => {
        const chosen = services.map((service, index) => ({ service, chosen: shown[index]!.endpoints }))
        return (await import('./html/endpoints.ts')).endpointsHtml(chosen, selection, request.query, missing)
      }
      return eitherAnswer(request, 'endpoints', value, text, 200, content)
    },
  }
}

/** For programs: with what the health checks say, where there are any. */
function checkedView({ total, endpoints }: ReturnType<typeof select>, checks: CheckedService | null) {
  if (checks === null) return { total, endpoints }
  return {
    total,
    endpoints: endpoints.map(each => ({ ...each, check: checks.endpoint(each.address) })),
  }
}
