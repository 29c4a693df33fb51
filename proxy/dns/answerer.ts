import type { Forwarder, NoAnswer } from './forward.ts'
import { type Meaning, meaningOf } from './meaning.ts'
import {
  answerCount,
  IN,
  isTruncated,
  nameBytes,
  type Query,
  type ResourceRecord,
  rcodeOf,
  rcodes,
  readQuery,
  soa,
  types,
  writeError,
  writeFailure,
  writeReply,
} from './message.ts'
import type { VirtualAddress } from './virtual-addresses.ts'
import type { Waiting } from './waiting.ts'

/** How long "there is no such service" may be kept: one may appear at any time. */
const NONE_SECONDS = 5

/** What is known of services and their addresses. */
export interface ServiceNames {
  /** Null: it is not known, or not every data thread knows its address. */
  find(service: string): VirtualAddress | null
  /**
   * Looks it up where it may be known elsewhere, and gives it an address. Answers once, at once or later; the returned
   * function gives up.
   */
  lookUp(service: string, answered: (found: VirtualAddress | 'unknown' | 'not now') => void): () => void
  /** By the bytes of an address. */
  at(address: readonly number[]): { readonly inside: boolean; readonly found: VirtualAddress | null }
  /** Whether names of this service in this datacenter of Consul mean it. */
  isHere(service: string, datacenter: string): boolean
}

/** What became of queries, for metrics. `invalid`: neither answered nor forwarded. */
export type AnswerKind = 'service' | 'forwarded' | 'invalid'
export type Result = 'noerror' | 'nodata' | 'nxdomain' | 'servfail' | 'refused' | 'formerr' | 'other'

export interface AnswererDeps {
  readonly domain: string
  readonly ttlSeconds: number
  readonly services: ServiceNames
  readonly forwarder: Forwarder
  readonly waiting: Waiting
  readonly count: (kind: AnswerKind, result: Result) => void
  /** A query that was forwarded came back. */
  readonly looped: () => void
}

export interface Asked {
  readonly client: string
  readonly overTcp: boolean
  /** At most once. `query` null: it could not be read. */
  readonly reply: (answer: Buffer, query: Query | null) => void
}

/**
 * Answers queries: for services itself, for all other names as the servers of the system do. False: these bytes are no
 * query, and get no answer.
 */
export type Answerer = (bytes: Buffer, asked: Asked) => boolean

export function answerer(deps: AnswererDeps): Answerer {
  const { services, domain, count } = deps
  const meaningOptions = { domain, isHere: services.isHere }

  function own(query: Query, asked: Asked, rcode: number, answers: readonly ResourceRecord[], zone: string): void {
    const isEmpty = answers.length === 0 && (rcode === rcodes.noError || rcode === rcodes.nxDomain)
    const authority = isEmpty ? [soa(zone, NONE_SECONDS)] : []
    count('service', resultOf(rcode, answers.length))
    asked.reply(writeReply(query, { rcode, answers, authority }), query)
  }

  function fail(query: Query, asked: Asked, rcode: number, kind: AnswerKind): void {
    count(kind, resultOf(rcode, 0))
    asked.reply(writeFailure(query, rcode), query)
  }

  function forward(query: Query, bytes: Buffer, asked: Asked, edit: (answer: Buffer) => Buffer = same): void {
    if (deps.forwarder.isOwn(query)) {
      deps.looped()
      return fail(query, asked, rcodes.servFail, 'forwarded')
    }
    let cancel = () => {}
    const waiting = {
      client: asked.client,
      end() {
        cancel()
        fail(query, asked, rcodes.servFail, 'forwarded')
      },
    }
    deps.waiting.add(waiting)
    cancel = deps.forwarder.forward(query, bytes, asked.overTcp, answer => {
      deps.waiting.remove(waiting)
      if (isNone(answer)) return fail(query, asked, rcodes.servFail, 'forwarded')
      const edited = edit(answer)
      count('forwarded', isTruncated(edited) ? 'other' : resultOf(rcodeOf(edited), answerCount(edited)))
      asked.reply(edited, query)
    })
  }

  function service(query: Query, bytes: Buffer, asked: Asked, meaning: Meaning & { kind: 'service' }): void {
    const known = services.find(meaning.service)
    if (known !== null) return found(query, bytes, asked, meaning, known)
    let isOver = false
    const waiting = {
      client: asked.client,
      end() {
        isOver = true
        cancel()
        fail(query, asked, rcodes.servFail, 'service')
      },
    }
    let cancel = () => {}
    let isWaiting = false
    const cancelled = services.lookUp(meaning.service, what => {
      if (isOver) return
      isOver = true
      if (isWaiting) deps.waiting.remove(waiting)
      if (typeof what !== 'string') found(query, bytes, asked, meaning, what)
      else if (meaning.form !== 'domain') forward(query, bytes, asked)
      else if (what === 'unknown') own(query, asked, rcodes.nxDomain, [], meaning.zone)
      else fail(query, asked, rcodes.servFail, 'service')
    })
    if (isOver) return
    cancel = cancelled
    isWaiting = true
    deps.waiting.add(waiting)
  }

  function found(
    query: Query,
    bytes: Buffer,
    asked: Asked,
    { form, zone }: Meaning & { kind: 'service' },
    address: VirtualAddress,
  ): void {
    // Consul says with it on which ports instances listen, which we could not.
    if (query.type === types.srv && form === 'consul')
      return forward(query, bytes, asked, answer =>
        rcodeOf(answer) === rcodes.nxDomain ? noData(query, zone) : answer,
      )
    own(query, asked, rcodes.noError, recordsOf(query.type, address), zone)
  }

  function recordsOf(type: number, { bytes, bytes6 }: VirtualAddress): readonly ResourceRecord[] {
    const isFour = type === types.a || type === types.any
    const data = isFour ? bytes : type === types.aaaa ? bytes6 : null
    return data === null ? [] : [{ name: null, type: isFour ? types.a : types.aaaa, ttl: deps.ttlSeconds, data }]
  }

  function reverse(query: Query, bytes: Buffer, asked: Asked, { address, zone }: Meaning & { kind: 'reverse' }): void {
    const { inside, found } = services.at(address)
    if (!inside) return forward(query, bytes, asked)
    if (found === null) return own(query, asked, rcodes.nxDomain, [], zone)
    const isAsked = query.type === types.ptr || query.type === types.any
    const data = nameBytes(`${found.service}.${domain}`)
    const name = { name: null, type: types.ptr, ttl: deps.ttlSeconds, data }
    own(query, asked, rcodes.noError, isAsked ? [name] : [], zone)
  }

  function answer(query: Query, bytes: Buffer, asked: Asked): void {
    if (query.edns !== null && query.edns.version > 0) return fail(query, asked, rcodes.badVersion, 'invalid')
    // A zone transfer is many messages, and none of an application's business.
    if (query.type === types.axfr || query.type === types.ixfr) return fail(query, asked, rcodes.refused, 'invalid')
    if (query.class !== IN) return forward(query, bytes, asked)
    const meaning = meaningOf(query.name, meaningOptions)
    switch (meaning.kind) {
      case 'other':
        return forward(query, bytes, asked)
      case 'service':
        return service(query, bytes, asked, meaning)
      case 'reverse':
        return reverse(query, bytes, asked, meaning)
      case 'none':
        return own(query, asked, meaning.isThere ? rcodes.noError : rcodes.nxDomain, [], meaning.zone)
    }
  }

  return (bytes, asked) => {
    const query = readQuery(bytes)
    if (query === 'drop') return false
    if (typeof query === 'number') {
      count('invalid', resultOf(query, 0))
      asked.reply(writeError(bytes, query), null)
    } else answer(query, bytes, asked)
    return true
  }
}

function isNone(answer: Buffer | NoAnswer): answer is NoAnswer {
  return typeof answer === 'string'
}

function same(answer: Buffer): Buffer {
  return answer
}

function noData(query: Query, zone: string): Buffer {
  return writeReply(query, { rcode: rcodes.noError, authority: [soa(zone, NONE_SECONDS)] })
}

const names: Readonly<Record<number, Result>> = {
  [rcodes.formErr]: 'formerr',
  [rcodes.servFail]: 'servfail',
  [rcodes.nxDomain]: 'nxdomain',
  [rcodes.refused]: 'refused',
}

function resultOf(rcode: number, answers: number): Result {
  if (rcode === rcodes.noError) return answers > 0 ? 'noerror' : 'nodata'
  return names[rcode] ?? 'other'
}
