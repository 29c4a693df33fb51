import { DELIMITED, Fields, Malformed, VARINT } from './wire.ts'

/** What a collector says of spans that it has taken: an ExportTraceServiceResponse. */
export interface PartialSuccess {
  readonly rejected: number
  readonly message: string
}

export function readAnswer(body: Buffer): PartialSuccess {
  let rejected = 0
  let message = ''
  const inside = contentOf(body, 1)
  if (inside !== null)
    each(inside, fields => {
      if (fields.number === 1 && fields.wire === VARINT) rejected = fields.value
      else if (fields.number === 2 && fields.wire === DELIMITED)
        message = inside.toString('utf8', fields.from, fields.end)
    })
  return { rejected, message }
}

/** The message of a google.rpc.Status. */
export function statusMessage(body: Buffer): string {
  return contentOf(body, 2)?.toString() ?? ''
}

/** The delay of the RetryInfo in a google.rpc.Status, in milliseconds; null: there is none. */
export function retryInfo(status: Buffer): number | null {
  let delay: number | null = null
  each(status, fields => {
    if (fields.number !== 3 || fields.wire !== DELIMITED) return
    const any = status.subarray(fields.from, fields.end)
    if (contentOf(any, 1)?.toString() !== 'type.googleapis.com/google.rpc.RetryInfo') return
    const duration = contentOf(contentOf(any, 2) ?? Buffer.alloc(0), 1) ?? Buffer.alloc(0)
    delay = 0
    each(duration, ({ number, wire, value }) => {
      if (wire === VARINT && number === 1) delay! += value * 1000
      else if (wire === VARINT && number === 2) delay! += value / 1e6
    })
  })
  return delay
}

function contentOf(message: Buffer, number: number): Buffer | null {
  let found: Buffer | null = null
  each(message, fields => {
    if (fields.number === number && fields.wire === DELIMITED) found = message.subarray(fields.from, fields.end)
  })
  return found
}

/** What comes from elsewhere may be anything: then nothing is found in it. */
function each(message: Buffer, look: (fields: Fields) => void): void {
  const fields = new Fields(message)
  try {
    while (fields.next()) look(fields)
  } catch (error) {
    if (!(error instanceof Malformed)) throw error
  }
}
