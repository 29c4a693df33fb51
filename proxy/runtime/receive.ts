import type { Answer, Question, SnapshotMessage, ToControl, ToData } from '../core/channel.ts'
import type { Tracing } from '../core/tracing.ts'
import type { AccessLogQueue } from '../telemetry/access-log-queue.ts'
import type { SpanQueue } from '../telemetry/span-queue.ts'
import type { Applier } from './apply.ts'
import type { DrainOrder } from './drain.ts'
import type { Wanted } from './wanted.ts'

export interface ReceiveDeps {
  readonly applier: Applier
  readonly waiting: Wanted
  readonly log: AccessLogQueue
  readonly spans: SpanQueue
  readonly tracing: Tracing
  apply(message: SnapshotMessage): Promise<void>
  answer(question: Question): Answer | Promise<Answer>
  drain(order: DrainOrder): void
  send(message: ToControl): void
}

/** What the control thread says, in order with the snapshots where it must be: those may wait for a port. */
export function receiver(deps: ReceiveDeps): (message: ToData) => void {
  const { applier, waiting, log, spans, tracing, send } = deps
  let last: Promise<void> = Promise.resolve()
  const inOrder = (work: () => void | Promise<void>): void => {
    last = last.then(work)
  }

  function reply(id: number, question: Question): void {
    const found = deps.answer(question)
    if (found instanceof Promise) void found.then(answer => send({ kind: 'answer', id, answer }))
    else send({ kind: 'answer', id, answer: found })
  }

  return message => {
    switch (message.kind) {
      case 'snapshot':
        return inOrder(() => deps.apply(message))
      case 'endpoints':
        return inOrder(() => applier.change(message.service, message.delta))
      case 'origins':
        return inOrder(() => applier.setOrigins(message.zones))
      case 'ejections':
        return applier.lookAgain(message.service)
      case 'drain':
        return deps.drain(message)
      case 'unknown-service':
        return waiting.settle(message.service, message.why)
      case 'ask':
        return reply(message.id, message.question)
      case 'log-credit':
        return log.credit(message.bytes)
      case 'span-credit':
        return spans.credit(message.bytes)
      case 'span-agent':
        return tracing.agent(message.isThere)
      case 'virtual-addresses':
        applier.addresses.changeVirtual(message.put, message.drop)
        return send({ kind: 'addresses-known', id: message.id })
    }
  }
}
