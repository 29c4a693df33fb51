import { systemClock } from '../../proxy/system/clock.ts'
import { accessLogSink } from '../../proxy/telemetry/access-log-sink.ts'
import { logTape } from './log-tape.ts'

/** A program whose access log is larger than a pipe without a reader: it must still be able to end. */
const sink = accessLogSink(systemClock, logTape())
sink.write(`${'x'.repeat(1 << 20)}\n`, () => {})
await sink.flushed(300)
process.exit(3)
