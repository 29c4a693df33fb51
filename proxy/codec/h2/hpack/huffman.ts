/**
 * The Huffman code of RFC 7541 appendix B. It is canonical: within a length, codes go up with their symbols, so the
 * lengths say it all. A letter a symbol, `A` for 5 bits to `Z` for 30; the last one is EOS.
 */
const LENGTHS =
  'ISXXXXXXXTZXXZXXXXXXXXZXXXXXXXXXBFFHIBDGFFDGDBBBAAABBBBBBBCDKBHF' +
  'IBCCCCCCCCCCCCCCCCCCCCCCDCDIOIJBKABABABBBACCBBBABCBAABCCCCCKGJIX' +
  'PRPPRRRSRSSSSSTSTTRSTSSSSQRSRSSTRQPRRSSQSRRTQRSSQQRQSRSSPRRRSRRS' +
  'VVPORSRUVVVWWVTUOQVWWVWTQQVVXWWWPTPQRQQSRRUUTTVSVWVVWWWWWXWWWWWV' +
  'Z'

const SYMBOLS = 257
const EOS = 256

const lengths = Uint8Array.from(LENGTHS, letter => letter.charCodeAt(0) - 60)
const codes = canonicalCodes()

function canonicalCodes(): Uint32Array {
  const result = new Uint32Array(SYMBOLS)
  let code = 0
  for (let length = 5; length <= 30; length++) {
    for (let symbol = 0; symbol < SYMBOLS; symbol++) if (lengths[symbol] === length) result[symbol] = code++
    code *= 2
  }
  return result
}

/**
 * Decoding goes four bits at a step: `steps[state * 16 + bits]` is the next state with, in bits 16 up, the symbol that
 * ended within them plus one (no code is shorter than five bits, so it is one at most). A state is an inner node of the
 * code's tree, 0 its root.
 */
const FAIL = -1
const { steps, mayEnd } = decodingTable()

function decodingTable(): { steps: Int32Array; mayEnd: Uint8Array } {
  // Two children a node: another node as it is, a symbol as -1 - symbol.
  const children: [number, number][] = [[0, 0]]
  for (let symbol = 0; symbol < SYMBOLS; symbol++) {
    let node = 0
    for (let bit = lengths[symbol]! - 1; bit >= 0; bit--) {
      const side = ((codes[symbol]! >>> bit) & 1) as 0 | 1
      if (bit === 0) children[node]![side] = -1 - symbol
      else if (children[node]![side] === 0) node = children[node]![side] = children.push([0, 0]) - 1
      else node = children[node]![side]
    }
  }
  const steps = new Int32Array(children.length * 16)
  for (let state = 0; state < children.length; state++) {
    for (let bits = 0; bits < 16; bits++) {
      let node = state
      let symbol = -1
      for (let bit = 3; bit >= 0 && symbol !== EOS; bit--) {
        node = children[node]![((bits >> bit) & 1) as 0 | 1]
        if (node >= 0) continue
        symbol = -1 - node
        node = 0
      }
      steps[state * 16 + bits] = symbol === EOS ? FAIL : ((symbol + 1) << 16) | node
    }
  }
  // What fills the last byte is the beginning of EOS, all ones, and shorter than a byte (RFC 7541 section 5.2).
  const mayEnd = new Uint8Array(children.length)
  for (let node = 0, depth = 0; depth < 8; depth++, node = children[node]![1]) mayEnd[node] = 1
  return { steps, mayEnd }
}

/**
 * Decodes `b[from..to)` into `out` from 0, which has room for 8/5 as many bytes; returns how many they are, -1 for a
 * malformed string.
 */
export function huffmanDecode(b: Buffer, from: number, to: number, out: Buffer): number {
  let state = 0
  let at = 0
  for (let i = from; i < to; i++) {
    const byte = b[i]!
    let step = steps[(state << 4) | (byte >> 4)]!
    if (step === FAIL) return -1
    if (step > 0xffff) out[at++] = (step >> 16) - 1
    step = steps[((step & 0xffff) << 4) | (byte & 15)]!
    if (step === FAIL) return -1
    if (step > 0xffff) out[at++] = (step >> 16) - 1
    state = step & 0xffff
  }
  return mayEnd[state] === 1 ? at : -1
}

/** How many bytes the text (a byte a character) takes encoded. */
export function huffmanLength(text: string): number {
  let bits = 0
  for (let i = 0; i < text.length; i++) bits += lengths[text.charCodeAt(i) & 255]!
  return (bits + 7) >>> 3
}

/** Encodes into `out` from `at`; returns the end. */
export function huffmanEncode(text: string, out: Buffer, at: number): number {
  let held = 0
  let count = 0
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i) & 255
    let code = codes[symbol]!
    let length = lengths[symbol]!
    // Never more than 7 bits are held, and a code goes in two halves when both do not fit into 31.
    if (length > 23) {
      const low = length - 16
      held = (held << 16) | (code >>> low)
      count += 16
      while (count >= 8) {
        count -= 8
        out[at++] = held >>> count
        held &= (1 << count) - 1
      }
      code &= (1 << low) - 1
      length = low
    }
    held = (held << length) | code
    count += length
    while (count >= 8) {
      count -= 8
      out[at++] = held >>> count
      held &= (1 << count) - 1
    }
  }
  if (count > 0) out[at++] = ((held << (8 - count)) | ((1 << (8 - count)) - 1)) & 255
  return at
}
