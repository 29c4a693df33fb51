import type { Page } from './page-types.ts'

type Render = (accept: string) => { readonly type: string; readonly body: AsyncIterable<string> }

export function metricsPage(render: Render): Page {
  return {
    path: '/metrics',
    methods: ['GET'],
    shows: 'statistics, for Prometheus',
    answer: ({ accept }) => ({ status: 200, ...render(accept) }),
  }
}
