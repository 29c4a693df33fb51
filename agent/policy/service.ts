import { type Server, type ServerUnaryCall, type ServiceError, type sendUnaryData, status } from '@grpc/grpc-js'
import type { Environment } from '../../mesh-config/environment.ts'
import { formatProblem } from '../../mesh-config/located.ts'
import { compilePolicy } from '../../mesh-config/policy-document.ts'
import { grpcService } from '../sync/protos.ts'
import { checkDocument, wrongService } from './check.ts'
import type { Held, Refused } from './held.ts'
import { sourcesInStatus } from './in-status.ts'
import { layersOf } from './layers.ts'
import type { Policies } from './policies.ts'
import type { PolicySource, PolicyStore, StoredVersion } from './source.ts'
import { VersionConflict } from './version-conflict.ts'

/** `Document` of control.proto. */
interface DocumentMessage {
  readonly service: string
  readonly version: string
  readonly text: string
  readonly at: string
  readonly author: string
  readonly comment: string
  readonly timeMs: number
  readonly errors: readonly string[]
  readonly warnings: readonly string[]
}

interface PutRequest {
  readonly service: string
  readonly text: string
  readonly author: string
  readonly comment: string
  readonly expect: string
  readonly file: string
}

/** Status messages travel in a trailer, which has a bound. */
const MAX_ERRORS = 20
const MAX_MESSAGE = 4_000
/** Author and comment. */
const MAX_WORDS = 500

export class Answer extends Error {
  readonly code: status

  constructor(code: status, message: string) {
    super(message)
    this.code = code
  }
}

/** The `Policies` service of control.proto: what `outrigger policy` asks. */
export function addPolicies(server: Server, policies: Policies, env: Environment): void {
  const order = () => policies.sources().map(({ source }) => source.name)

  /** Where documents are put: the most important source that takes them. */
  function target(): { source: PolicySource; store: PolicyStore } {
    const source = policies.sources().findLast(each => each.source.store !== null)?.source
    const message =
      'no source of this agent can be written: add files, consul kv or zookeeper to policies.order of its file'
    if (source === undefined) throw new Answer(status.FAILED_PRECONDITION, message)
    return { source, store: source.store! }
  }

  const envOf = ({ isLocal }: PolicySource) => (isLocal === true ? env : null)

  async function lint({ service, text, file }: { service: string; text: string; file: string }) {
    named(service)
    const { source } = target()
    return await checkDocument(
      { service, at: file || 'stdin', text },
      source.name,
      policies.documents,
      order(),
      envOf(source),
    )
  }

  async function put(request: PutRequest) {
    const { service, text, author, comment, expect } = request
    const { store } = target()
    const { errors, warnings } = await lint(request)
    if (errors.length > 0) throw new Answer(status.INVALID_ARGUMENT, listed(errors))
    const stored = {
      service,
      text,
      author: author.slice(0, MAX_WORDS),
      comment: comment.slice(0, MAX_WORDS),
      at: Date.now(),
    }
    const wanted = expect === '' ? null : expect === 'none' ? '' : expect
    return { version: await store.put(stored, wanted), warnings }
  }

  async function history(service: string) {
    named(service)
    return await target().store.history(service)
  }

  async function rollback({ service, version, author }: { service: string; version: string; author: string }) {
    const versions = await history(service)
    const now = versions[0]
    const earlier =
      version === '' ? versions.find(each => each.text !== now?.text) : versions.find(each => each.version === version)
    if (earlier === undefined)
      throw new Answer(
        status.NOT_FOUND,
        version === ''
          ? `there is no earlier version of ${service}`
          : `there is no version ${version} of ${service} in its history`,
      )
    const comment = `as version ${earlier.version} had it`
    return await put({
      service,
      text: earlier.text,
      author,
      comment,
      expect: '',
      file: `${service} ${earlier.version}`,
    })
  }

  async function get({ service, version }: { service: string; version: string }) {
    named(service)
    const layers = layersOf(service, policies.documents.inForce(), order())
    const compiled = compilePolicy(service, layers)
    const effective = Buffer.from(compiled.ok ? JSON.stringify(compiled.effective()) : '')
    if (version !== '') {
      const kept = (await history(service)).find(each => each.version === version)
      if (kept === undefined)
        throw new Answer(status.NOT_FOUND, `there is no version ${version} of ${service} in its history`)
      return { document: storedMessage(kept), effective }
    }
    const newest = order()
      .flatMap(source => newestOf(service, source))
      .at(-1)
    if (newest === undefined && layers.length === 0)
      throw new Answer(status.NOT_FOUND, `no source has a document for ${service}`)
    if (newest === undefined) return { document: null, effective }
    const found = compiled.ok && newest.errors.length === 0 ? compiled.warnings : []
    const warnings = [...newest.warnings, ...found.filter(({ file }) => file === newest.at).map(formatProblem)]
    return { document: { ...(await withAuthor(newest)), warnings }, effective }
  }

  /** What a source says of a service: the version that its author wrote last, refused or not. */
  function newestOf(service: string, source: string): DocumentMessage[] {
    const isOfIt = (each: { source: string; service: string }) => each.source === source && each.service === service
    const refused = policies.documents.refused().filter(isOfIt)
    if (refused.length > 0) return refused.map(refusedMessage)
    return [...policies.documents.inForce().values()]
      .filter(held => isOfIt({ ...held.document, source: held.source }))
      .map(heldMessage)
  }

  async function withAuthor(message: DocumentMessage): Promise<DocumentMessage> {
    try {
      const kept = (await history(message.service)).find(({ version }) => version === message.version)
      return kept === undefined ? message : { ...message, author: kept.author, comment: kept.comment, timeMs: kept.at }
    } catch {
      // The store is away; the document is in force all the same.
      return message
    }
  }

  function list() {
    const { documents } = policies
    const all = [...[...documents.inForce().values()].map(heldMessage), ...documents.refused().map(refusedMessage)]
    all.sort((a, b) => (a.service < b.service ? -1 : a.service > b.service ? 1 : a.at < b.at ? -1 : 1))
    return { documents: all.map(document => ({ ...document, text: '' })), sources: sourcesInStatus(policies) }
  }

  const { service } = grpcService('Policies')
  server.addService(service, {
    Put: answering(put),
    Get: answering(get),
    List: answering(async () => list()),
    History: answering(async ({ service: name }: { service: string }) => {
      return { versions: (await history(name)).map(kept => ({ ...storedMessage(kept), text: '' })) }
    }),
    Rollback: answering(rollback),
    Lint: answering(lint),
  })
}

function refusedMessage({ service, at, document, errors }: Refused): DocumentMessage {
  const { version, text, warnings } = document ?? { version: '', text: '', warnings: [] }
  return { service, version, text, at, author: '', comment: '', timeMs: 0, errors, warnings }
}

function heldMessage({ document: { service, version, text, at, warnings } }: Held): DocumentMessage {
  return { service, version, text, at, author: '', comment: '', timeMs: 0, errors: [], warnings }
}

function storedMessage(kept: StoredVersion & { version: string }): DocumentMessage {
  const { service, version, text, author, comment, at } = kept
  return { service, version, text, at: 'history', author, comment, timeMs: at, errors: [], warnings: [] }
}

function named(service: string): void {
  const wrong = wrongService(service)
  if (wrong !== null) throw new Answer(status.INVALID_ARGUMENT, wrong)
}

function listed(errors: readonly string[]): string {
  const more = errors.length > MAX_ERRORS ? [`and ${errors.length - MAX_ERRORS} more`] : []
  return [...errors.slice(0, MAX_ERRORS), ...more].join('\n').slice(0, MAX_MESSAGE)
}

function answering<Asked, Said>(work: (asked: Asked) => Promise<Said>) {
  return (call: ServerUnaryCall<Asked, Said>, done: sendUnaryData<Said>): void => {
    work(call.request).then(
      said => done(null, said),
      (error: Error) => {
        const code = error instanceof Answer ? error.code : codeOf(error)
        done({ code, details: error.message } as ServiceError)
      },
    )
  }
}

function codeOf(error: Error): status {
  return error instanceof VersionConflict ? status.FAILED_PRECONDITION : status.UNAVAILABLE
}
