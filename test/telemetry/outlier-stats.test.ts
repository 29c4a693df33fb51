import { expect, test } from 'vitest'
import { detectionsOf } from '../../proxy/telemetry/outlier-stats.ts'
import { prometheusPage } from '../../proxy/telemetry/prometheus.ts'
import { seriesStore } from '../../proxy/telemetry/series-store.ts'
import { statsWriter } from '../../proxy/telemetry/stats.ts'

function counted() {
  const store = seriesStore()
  const stats = statsWriter(message => {
    if (message.kind === 'page') store.page(0, message.page, message.memory)
    else if (message.kind === 'series') store.add(0, message.id, message.series)
    else if (message.kind === 'retire') store.retire(0, message.ids)
  })
  const samples = async () => {
    let body = ''
    for await (const piece of prometheusPage(store)({ openMetrics: false, aliases: ['envoy'] }).body) body += piece
    return body.split('\n').filter(line => line !== '' && !line.startsWith('#'))
  }
  return { detections: detectionsOf(stats, 'orders'), samples }
}

test('what was found is counted by what found it and what came of it, under our name and Envoy’s', async () => {
  const { detections, samples } = counted()
  expect(await samples()).toEqual([])
  detections.count('consecutive_5xx', 'ejected')
  detections.count('consecutive_5xx', 'shadow')
  detections.count('consecutive_5xx', 'no_room')
  detections.count('success_rate', 'ejected')
  detections.count('latency', 'ejected')
  const lines = await samples()
  expect(lines.filter(line => line.startsWith('outrigger'))).toHaveLength(5)
  const root = 'envoy_cluster_outlier_detection_ejections'
  expect(lines.filter(line => line.startsWith(root)).sort()).toEqual([
    `${root}_detected_consecutive_5xx{envoy_cluster_name="orders"} 3`,
    `${root}_detected_success_rate{envoy_cluster_name="orders"} 1`,
    `${root}_enforced_consecutive_5xx{envoy_cluster_name="orders"} 1`,
    `${root}_enforced_success_rate{envoy_cluster_name="orders"} 1`,
    `${root}_overflow{envoy_cluster_name="orders"} 1`,
  ])
})

test('a service that is gone has none, whatever is still found there', async () => {
  const { detections, samples } = counted()
  detections.count('latency', 'ejected')
  detections.retire()
  detections.count('latency', 'ejected')
  expect(await samples()).toEqual([])
})
