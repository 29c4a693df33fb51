import type { Log } from '../core/log.ts'
import type { AccessLogSink } from '../telemetry/access-log-sink.ts'
import type { SeriesStore } from '../telemetry/series-store.ts'
import { logEvent } from './proxy-events.ts'
import type { SpanExport } from './span-export.ts'
import type { Said } from './thread-handle.ts'
import type { WatchedServices } from './watched-services.ts'
import type { DataThreads } from './workers.ts'

export interface SaidDeps {
  readonly store: SeriesStore
  readonly sink: AccessLogSink
  readonly spans: () => Pick<SpanExport, 'write'>
  readonly log: Log
  readonly threads: () => Pick<DataThreads, 'answer' | 'tellOthers'>
  readonly watched: () => Pick<WatchedServices, 'want'>
}

/** Where what data threads say of their own accord goes. */
export function takeMessages({
  store,
  sink,
  spans,
  log,
  threads,
  watched,
}: SaidDeps): (thread: number, message: Said) => void {
  return (thread, message) => {
    switch (message.kind) {
      case 'page':
        return store.page(thread, message.page, message.memory)
      case 'series':
        return store.add(thread, message.id, message.series)
      case 'retire':
        return store.retire(thread, message.ids)
      case 'expire':
        return store.expire(thread, message.ids, message.values)
      case 'exemplar':
        return store.exemplar(thread, message.id, message)
      case 'event':
        return logEvent(log, thread, message.event)
      case 'ejections':
        return threads().tellOthers(thread, message)
      case 'want':
        return watched().want(thread, message.service)
      case 'spans': {
        const { bytes, count } = message
        spans().write(bytes, count)
        return threads().answer(thread, { kind: 'span-credit', bytes: bytes.length })
      }
      case 'log': {
        const { lines, dropped } = message
        sink.lost(dropped)
        sink.write(lines, () => threads().answer(thread, { kind: 'log-credit', bytes: lines.length }))
      }
    }
  }
}
