/** Cuts a stream into lines. An empty line is left out, and what follows the last line end is not one yet. */
export interface Lines {
  /** Throws where a line becomes longer than the limit. */
  push(chunk: Buffer): string[]
}

const LINE_END = 0x0a

export function linesOf(maxBytes: number): Lines {
  let begun: Buffer[] = []
  let bytes = 0

  function add(piece: Buffer): void {
    bytes += piece.length
    if (bytes > maxBytes) throw new Error(`a line is longer than ${maxBytes >> 20} MiB`)
    begun.push(piece)
  }

  return {
    push(chunk) {
      const lines: string[] = []
      let start = 0
      for (let end = chunk.indexOf(LINE_END); end >= 0; end = chunk.indexOf(LINE_END, start)) {
        add(chunk.subarray(start, end))
        const line = Buffer.concat(begun).toString('utf8')
        if (line !== '') lines.push(line)
        begun = []
        bytes = 0
        start = end + 1
      }
      // Copied: the buffer of the connection is read into again.
      if (start < chunk.length) add(Buffer.from(chunk.subarray(start)))
      return lines
    },
  }
}
