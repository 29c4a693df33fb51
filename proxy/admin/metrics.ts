import type { Page } from './page-types.ts'

export function metricsPage(render: () => { readonly type: string; readonly body: AsyncIterable<string> }): Page {
  return {
    path: '/metrics',
    methods: ['GET'],
    shows: 'statistics, for Prometheus',
    answer: () => ({ status: 200, ...render() }),
  }
}
