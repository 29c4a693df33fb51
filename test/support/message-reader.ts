/**
 * Reads HTTP/1.1 messages for the tests, apart from the codec and stricter than a real peer would be: whatever the
 * proxy writes goes through it, so a test fails when the proxy says anything that is not plain, well-framed HTTP, even
 * where the test looks at something else.
 */
export interface Message {
  readonly startLine: string
  readonly headers: readonly (readonly [string, string])[]
  readonly body: Buffer
  readonly trailers: readonly (readonly [string, string])[]
  /** False: the connection broke off inside it. */
  readonly whole: boolean
}

export type ReaderEvent =
  | { readonly kind: 'head' | 'whole'; readonly message: OpenMessage }
  | { readonly kind: 'interim'; readonly message: OpenMessage }

export class OpenMessage implements Message {
  startLine = ''
  headers: [string, string][] = []
  trailers: [string, string][] = []
  chunks: Buffer[] = []
  bodyBytes = 0
  whole = false
  framing: 'length' | 'chunked' | 'close' | 'none' = 'none'

  get body(): Buffer {
    return Buffer.concat(this.chunks)
  }

  get text(): string {
    return this.body.toString('latin1')
  }

  get status(): number {
    return Number(this.startLine.split(' ')[1])
  }

  get method(): string {
    return this.startLine.split(' ')[0]!
  }

  get target(): string {
    return this.startLine.split(' ')[1]!
  }

  get names(): string[] {
    return this.headers.map(([name]) => name)
  }

  /** All values of a field. */
  all(name: string): string[] {
    return this.headers.filter(([own]) => own.toLowerCase() === name).map(([, value]) => value)
  }

  header(name: string): string | undefined {
    return this.all(name)[0]
  }
}

const NOTHING = Buffer.alloc(0)
const REQUEST_LINE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-"$-~]+ HTTP\/1\.1$/
const STATUS_LINE = /^HTTP\/1\.1 [1-9]\d\d [\t -~\x80-\xff]*$/
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[^\0-\x08\x0a-\x1f\x7f]*[^\0-\x20\x7f])?)[ \t]*$/

type State = 'head' | 'length' | 'size' | 'chunk' | 'chunk-end' | 'trailers' | 'close' | 'broken'

export class MessageReader {
  readonly messages: OpenMessage[] = []
  /** 1xx responses. */
  readonly interim: OpenMessage[] = []
  /** Methods of the requests whose responses are read here, in order; a response without one is an error. */
  readonly methods: string[] | null
  #state: State = 'head'
  #buffer: Buffer = Buffer.alloc(0)
  #left = 0
  #open: OpenMessage = new OpenMessage()
  #onEvent: (event: ReaderEvent) => void

  /** `methods` null: reads requests. */
  constructor(methods: string[] | null, onEvent: (event: ReaderEvent) => void = () => {}) {
    this.methods = methods
    this.#onEvent = onEvent
  }

  /** Bytes of a message that is not whole. */
  get pending(): boolean {
    return this.#state !== 'head' || this.#buffer.length !== 0
  }

  push(bytes: Buffer): void {
    this.#buffer = this.#buffer.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#buffer, bytes])
    while (this.#step());
    // An empty view would keep the memory it is a view of.
    if (this.#buffer.length === 0) this.#buffer = NOTHING
  }

  /** The connection was closed in order. */
  ended(): void {
    if (this.#state === 'close') this.#finish()
  }

  #step(): boolean {
    switch (this.#state) {
      case 'head':
        return this.#head()
      case 'length':
        return this.#data('head')
      case 'size':
        return this.#size()
      case 'chunk':
        return this.#data('chunk-end')
      case 'chunk-end': {
        if (this.#buffer.length < 2) return false
        if (this.#buffer.latin1Slice(0, 2) !== '\r\n') this.#fail('a chunk not ended by CRLF')
        this.#buffer = this.#buffer.subarray(2)
        this.#state = 'size'
        return true
      }
      case 'trailers': {
        const line = this.#line()
        if (line === null) return false
        if (line === '') this.#finish()
        else this.#open.trailers.push(this.#field(line))
        return true
      }
      case 'close':
        return this.#data('close')
      default:
        return false
    }
  }

  #head(): boolean {
    const end = this.#buffer.indexOf('\r\n\r\n')
    if (end < 0) return false
    const [startLine, ...lines] = this.#buffer.latin1Slice(0, end).split('\r\n')
    this.#buffer = this.#buffer.subarray(end + 4)
    const message = new OpenMessage()
    message.startLine = startLine!
    message.headers = lines.map(line => this.#field(line))
    const isResponse = this.methods !== null
    if (!(isResponse ? STATUS_LINE : REQUEST_LINE).test(startLine!))
      this.#fail(`the start line ${JSON.stringify(startLine)}`)
    if (!isResponse && message.all('host').length !== 1) this.#fail(`${message.all('host').length} Host fields`)
    if (isResponse && message.status < 200) {
      if (message.all('content-length').length + message.all('transfer-encoding').length !== 0)
        this.#fail('a 1xx response with a body')
      this.interim.push(message)
      this.#onEvent({ kind: 'interim', message })
      return true
    }
    this.#open = message
    this.messages.push(message)
    this.#frame(message, isResponse)
    this.#onEvent({ kind: 'head', message })
    if (this.#state === 'head') this.#finish()
    return true
  }

  #frame(message: OpenMessage, isResponse: boolean): void {
    const lengths = message.all('content-length')
    const codings = message.all('transfer-encoding')
    if (lengths.length + codings.length > 1) this.#fail(`framed ${lengths.length + codings.length} times`)
    if (codings.length === 1 && codings[0]!.toLowerCase() !== 'chunked') this.#fail(`transfer-encoding ${codings[0]}`)
    if (lengths.length === 1 && !/^\d{1,15}$/.test(lengths[0]!)) this.#fail(`content-length ${lengths[0]}`)
    const { status } = message
    const method = this.methods?.shift()
    if (isResponse && method === undefined && status !== 408 && status < 400) this.#fail('a response to no request')
    if (isResponse && (method === 'HEAD' || status === 204 || status === 304)) {
      if (status === 204 && lengths.length + codings.length !== 0) this.#fail('a 204 with a body')
      this.#state = 'head'
    } else if (codings.length === 1) {
      message.framing = 'chunked'
      this.#state = 'size'
    } else if (lengths.length === 1) {
      message.framing = 'length'
      this.#left = Number(lengths[0])
      this.#state = this.#left === 0 ? 'head' : 'length'
    } else if (isResponse) {
      message.framing = 'close'
      this.#state = 'close'
    } else this.#state = 'head'
  }

  #size(): boolean {
    const line = this.#line()
    if (line === null) return false
    if (!/^[0-9a-f]{1,8}$/i.test(line)) this.#fail(`the chunk size ${JSON.stringify(line)}`)
    this.#left = Number.parseInt(line, 16)
    this.#state = this.#left === 0 ? 'trailers' : 'chunk'
    return true
  }

  #data(next: State): boolean {
    const most = this.#state === 'close' ? this.#buffer.length : this.#left
    const taken = this.#buffer.subarray(0, most)
    if (taken.length === 0) return false
    this.#open.chunks.push(taken)
    this.#open.bodyBytes += taken.length
    this.#buffer = this.#buffer.subarray(taken.length)
    if (this.#state === 'close') return false
    this.#left -= taken.length
    if (this.#left !== 0) return false
    if (next === 'head') this.#finish()
    else this.#state = next
    return true
  }

  #finish(): void {
    this.#state = 'head'
    this.#open.whole = true
    this.#onEvent({ kind: 'whole', message: this.#open })
  }

  #line(): string | null {
    const end = this.#buffer.indexOf('\r\n')
    if (end < 0) return null
    const line = this.#buffer.latin1Slice(0, end)
    this.#buffer = this.#buffer.subarray(end + 2)
    return line
  }

  #field(line: string): [string, string] {
    const match = FIELD.exec(line)
    if (match === null) this.#fail(`the field line ${JSON.stringify(line.slice(0, 200))}`)
    return [match![1]!, match![2]!]
  }

  #fail(what: string): never {
    this.#state = 'broken'
    throw new Error(`the proxy wrote ${what}`)
  }
}
