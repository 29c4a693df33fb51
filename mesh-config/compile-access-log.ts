import type { AccessLogDocument } from './access-log.ts'
import { durationMs } from './duration.ts'
import type { AccessLogCondition, AccessLogSpec } from './snapshot.ts'

export function compileAccessLog({ mode, only, format, template, fields, path }: AccessLogDocument): AccessLogSpec {
  return {
    mode,
    only: only.map(
      ({ errors, slowerThan, status, sample }): AccessLogCondition => ({
        errors: errors === true,
        slowerThanMs: slowerThan === undefined ? 0 : durationMs(slowerThan),
        statuses: (status ?? []).map(each => rangeOf(String(each))),
        samplePercent: sample ?? 100,
      }),
    ),
    format,
    template: template ?? null,
    fields: fields ?? null,
    path: path === 'stdout' ? null : path,
  }
}

/** `404`, `5xx` or `400-428`, as its first and its last status. */
function rangeOf(text: string): readonly [from: number, to: number] {
  if (text.endsWith('xx')) return [Number(text[0]) * 100, Number(text[0]) * 100 + 99]
  const [from = '', to = from] = text.split('-')
  return [Number(from), Number(to)]
}
