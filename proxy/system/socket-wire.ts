import { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { Account, UNLIMITED } from '../core/ledger.ts'
import type { Turns } from '../core/turn.ts'
import type { Original, Peer, PeerIdentity, Wire, WireHandler } from '../core/wire.ts'
import { LARGE_READ, letGo, pin, type Slab, SMALL_READ, scratch, sharedRead, takeSlab, unpin } from './buffers.ts'
import { finishNow, originalOf } from './original-destination.ts'
import { systemTurns } from './turns.ts'

const NOTHING = Buffer.alloc(0)
/** A waiting piece below this size is copied, so a held buffer is at least a quarter full. */
const COPIED = 16 * 1024

type Options = ConstructorParameters<typeof Socket>[0]

/** Where a socket reads into, and what it calls then. */
export interface OnRead {
  buffer(): Buffer
  callback(length: number, buffer: Buffer): boolean
}

/** Connects a socket that speaks TLS. */
export type MakeSecure = (onread: OnRead) => TLSSocket

/**
 * A wire over a TCP socket. Reads go into our buffers (`onread`): one shared buffer for all connections that wait for a
 * head, a pooled one while a body streams. So an idle connection holds no buffer, and a read allocates none.
 */
export class SocketWire implements Wire {
  handler: WireHandler | null = null
  bufferBytes = 1024 * 1024
  ledger = UNLIMITED
  #account: Account | null = null
  /** Unsent bytes that are counted in the account. */
  #counted = 0
  /** For system/net.ts only. */
  readonly socket: Socket
  /** By the certificate of the caller; null: it was not asked for one. */
  identity: PeerIdentity | null = null
  #peer: Peer | null = null
  #original: Original | null = null
  /** The pooled buffer reads go into; null: the shared one. */
  #slab: Slab | null = null
  #expected = 0
  /** Slabs with bytes that are not sent yet. */
  readonly #pinned: Slab[] = []
  #flushing = false
  #aboveMark = false

  /** It speaks TLS: what is written is encrypted at once, and leaves in the next round of the event loop. */
  readonly #isSecure: boolean

  /**
   * The `handle` of an accepted connection; null: a socket that will connect; or a socket as it is, which reads into
   * Node's buffers. `secure`: of a socket that will connect, and speak TLS.
   */
  constructor(source: object | Socket | null, secure: MakeSecure | null = null) {
    this.#isSecure = secure !== null
    this.socket = source instanceof Socket ? source : this.#socketOver(source, secure)
    if (source instanceof Socket) source.on('data', chunk => this.#read(chunk as Buffer, chunk.length))
    this.#listen()
  }

  #socketOver(handle: object | null, secure: MakeSecure | null): Socket {
    const onread: OnRead = {
      buffer: () => this.#nextBuffer(),
      callback: (length: number, buffer: Buffer) => {
        this.#read(buffer, length)
        return true
      },
    }
    if (secure !== null) return secure(onread)
    return new Socket(
      (handle === null
        ? { allowHalfOpen: true, noDelay: true, onread }
        : { allowHalfOpen: true, onread, handle }) as unknown as Options,
    )
  }

  #read(buffer: Buffer, length: number): void {
    systemTurns.enter()
    this.handler?.bytes(buffer, length)
    systemTurns.leave()
  }

  #listen(): void {
    const socket = this.socket
    socket.on('end', () => {
      systemTurns.enter()
      this.handler?.ended()
      systemTurns.leave()
    })
    let error: Error | null = null
    socket.on('error', caught => {
      error = caught
    })
    socket.on('close', () => {
      this.#release()
      systemTurns.enter()
      this.handler?.closed(error)
      systemTurns.leave()
    })
  }

  get peer(): Peer {
    this.#peer ??= this.#peerNow()
    return this.#peer
  }

  #peerNow(): Peer {
    const peer = peerOf(this.socket, this.#original)
    return this.identity === null ? peer : { ...peer, identity: this.identity }
  }

  /** Gives the handle of the connection away: this wire is over, and nobody is told. Null: it is closed already. */
  release(): object | null {
    const holder = this.socket as unknown as WithHandle
    const handle = holder._handle
    this.handler = null
    this.socket.removeAllListeners()
    holder._handle = null
    this.#release()
    return handle
  }

  original(): Original | null {
    if (this.#peer !== null) return this.#original
    this.#original = originalDestination(this.socket)
    return this.#original
  }

  get turns(): Turns {
    return systemTurns
  }

  get account(): Account {
    this.#account ??= new Account(this.ledger, this)
    return this.#account
  }

  write(bytes: Buffer): boolean {
    const socket = this.socket
    if (socket.destroyed) return true
    bytes = this.#safe(bytes)
    if (this.#isSecure) return this.#writeSecure(bytes)
    socket.write(bytes)
    return socket.writableLength === 0 ? true : this.#stalled(pin(bytes))
  }

  /** Its last write calls back: an empty write would be a record of its own. */
  #writeSecure(bytes: Buffer): boolean {
    const { socket } = this
    if (this.#flushing) socket.write(bytes)
    else {
      this.#flushing = true
      socket.write(bytes, this.#flushed)
    }
    return this.#stalled(pin(bytes))
  }

  writeTwo(first: Buffer, second: Buffer): boolean {
    const socket = this.socket
    if (socket.destroyed) return true
    first = this.#safe(first)
    second = this.#safe(second)
    socket.cork()
    socket.write(first)
    if (this.#isSecure) {
      const slab = pin(first)
      if (slab !== null) this.#pinned.push(slab)
      const mayGoOn = this.#writeSecure(second)
      socket.uncork()
      return mayGoOn
    }
    socket.write(second)
    socket.uncork()
    if (socket.writableLength === 0) return true
    const slab = pin(first)
    if (slab !== null) this.#pinned.push(slab)
    return this.#stalled(pin(second))
  }

  /**
   * Waiting connections read into the shared buffer, so nothing may be sent from it later. And where bytes already
   * wait, a small piece would pin the large buffer it lies in: a thousand of them to a reader that has stopped would
   * hold a thousand buffers.
   */
  #safe(bytes: Buffer): Buffer {
    const mustWait = bytes.length < COPIED && this.socket.writableLength !== 0
    return mustWait || bytes.buffer === sharedRead.buffer ? Buffer.from(bytes) : bytes
  }

  get unsent(): number {
    return this.socket.writableLength
  }

  scratch(): Buffer {
    return scratch()
  }

  /** Not all has left: its buffer is pinned until it has. */
  #stalled(slab: Slab | null): boolean {
    if (slab !== null) this.#pinned.push(slab)
    if (!this.#flushing) {
      this.#flushing = true
      // An empty write at the end of the queue signals that all before it has left.
      this.socket.write(NOTHING, this.#flushed)
    }
    const { writableLength } = this.socket
    this.#count(writableLength)
    this.#aboveMark ||= writableLength > Math.min(this.bufferBytes / 4, this.ledger.mark)
    return !this.#aboveMark
  }

  #count(unsent: number): void {
    if (unsent === this.#counted) return
    this.account.add(unsent - this.#counted)
    this.#counted = unsent
  }

  #flushed = (error?: Error | null): void => {
    this.#flushing = false
    if (error != null) return
    if (this.socket.writableLength > 0) {
      this.#stalled(null)
      return
    }
    this.#unpinAll()
    this.#count(0)
    if (!this.#aboveMark) return
    this.#aboveMark = false
    systemTurns.enter()
    this.handler?.drained()
    systemTurns.leave()
  }

  end(): void {
    if (this.#original !== null && this.socket.writableLength === 0) finishNow(fdOf(this.socket))
    this.socket.end()
  }

  destroy(): void {
    this.socket.destroy()
    this.#count(0)
  }

  reset(): void {
    if (this.#isSecure) resetBelow(this.socket)
    else this.socket.resetAndDestroy()
    this.#count(0)
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  expect(bytes: number): void {
    this.#expected = bytes
  }

  /** `net` calls this after each read, for the buffer of the next. */
  #nextBuffer(): Buffer {
    const slab = this.#slab
    const isLarge = this.#expected >= LARGE_READ && Math.min(this.bufferBytes / 4, this.ledger.mark) >= LARGE_READ
    const size = this.#expected === 0 ? 0 : isLarge ? LARGE_READ : SMALL_READ
    if (slab !== null) {
      if (slab.buffer.length === size && slab.pins === 0) return slab.buffer
      letGo(slab)
      this.#slab = null
    }
    if (size === 0) return sharedRead
    this.#slab = takeSlab(size)
    return this.#slab.buffer
  }

  #unpinAll(): void {
    for (const slab of this.#pinned) unpin(slab)
    this.#pinned.length = 0
  }

  #release(): void {
    this.#unpinAll()
    this.#count(0)
    if (this.#slab !== null) letGo(this.#slab)
    this.#slab = null
  }
}

/** The handle of a socket; undocumented in Node, so used only in this folder. */
interface WithHandle {
  _handle: { readonly fd?: number; readonly _parent?: ResettableHandle } | null
}

/** Of the connection below TLS. */
interface ResettableHandle {
  close(callback: () => void): void
  reset(callback: () => void): number
}

/** A socket of TLS has no reset: the connection below it is reset where it would be closed. */
function resetBelow(socket: Socket): void {
  const below = (socket as unknown as WithHandle)._handle?._parent
  if (below !== undefined) {
    const close = below.close.bind(below)
    below.close = callback => {
      // Half-closed, it cannot be reset any more.
      if (below.reset(callback) !== 0) close(callback)
    }
  }
  socket.destroy()
}

/** -1: it is closed. */
function fdOf(socket: Socket): number {
  return (socket as unknown as WithHandle)._handle?.fd ?? -1
}

function originalDestination(socket: Socket): Original | null {
  const fd = fdOf(socket)
  if (fd < 0) return null
  const remote = socket.remoteAddress ?? ''
  const original = originalOf(fd, remote.includes(':') && !remote.startsWith('::ffff:'))
  // Where it came by itself, the kernel names the address that it has here.
  if (original === null || original.port !== socket.localPort) return original
  return plain(socket.localAddress) === original.address ? null : original
}

function peerOf(socket: Socket, original: Original | null): Peer {
  if (original !== null)
    return {
      address: plain(socket.remoteAddress),
      port: socket.remotePort ?? 0,
      local: original.address,
      localPort: original.port,
      original,
    }
  const peer = {
    address: plain(socket.remoteAddress),
    port: socket.remotePort ?? 0,
    local: plain(socket.localAddress),
    localPort: socket.localPort ?? 0,
  }
  if (!isSecure(socket)) return peer
  const { alpnProtocol } = socket
  const tls = socket.getProtocol() ?? ''
  return typeof alpnProtocol === 'string' ? { ...peer, tls, alpn: alpnProtocol } : { ...peer, tls }
}

function isSecure(socket: Socket): socket is TLSSocket {
  return 'encrypted' in socket
}

/** IPv4 as IPv4 even where it came in over a dual-stack socket. */
function plain(address: string | undefined): string {
  if (address === undefined) return ''
  return address.startsWith('::ffff:') ? address.slice(7) : address
}
