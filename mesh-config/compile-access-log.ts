import type { AccessLogDocument } from './access-log.ts'
import { durationMs } from './duration.ts'
import type { AccessLogCondition, AccessLogSpec } from './snapshot.ts'
import { statusRange } from './status-range.ts'

export function compileAccessLog({ mode, only, format, template, fields, path }: AccessLogDocument): AccessLogSpec {
  return {
    mode,
    only: only.map(
      ({ errors, slowerThan, status, sample }): AccessLogCondition => ({
        errors: errors === true,
        slowerThanMs: slowerThan === undefined ? 0 : durationMs(slowerThan),
        statuses: (status ?? []).map(each => statusRange(String(each))),
        samplePercent: sample ?? 100,
      }),
    ),
    format,
    template: template ?? null,
    fields: fields ?? null,
    path: path === 'stdout' ? null : path,
  }
}
