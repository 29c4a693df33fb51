import { nameBytes } from '../../proxy/dns/message.ts'

/** A query as clients write it. */
export function queryFor(
  name: string,
  type = 1,
  {
    id = 7,
    edns = null,
    flags = 0x0100,
  }: { id?: number; edns?: { size: number; version?: number; dnssec?: boolean } | null; flags?: number } = {},
): Buffer {
  const header = Buffer.alloc(12)
  header.writeUInt16BE(id, 0)
  header.writeUInt16BE(flags, 2)
  header.writeUInt16BE(1, 4)
  header.writeUInt16BE(edns === null ? 0 : 1, 10)
  const tail = Buffer.alloc(4)
  tail.writeUInt16BE(type, 0)
  tail.writeUInt16BE(1, 2)
  const opt = Buffer.alloc(edns === null ? 0 : 11)
  if (edns !== null) {
    opt.writeUInt16BE(41, 1)
    opt.writeUInt16BE(edns.size, 3)
    opt[6] = edns.version ?? 0
    opt[7] = edns.dnssec ? 0x80 : 0
  }
  return Buffer.concat([header, nameBytes(name), tail, opt])
}

/** The answer of a name server to a query: `code`, and an A record for each address. */
export function answerTo(query: Buffer, code: number, addresses: readonly string[] = []): Buffer {
  const end = 12 + nameLength(query) + 4
  const header = Buffer.from(query.subarray(0, 12))
  header.writeUInt16BE(0x8180 | code, 2)
  header.writeUInt16BE(addresses.length, 6)
  header.writeUInt16BE(0, 10)
  const records = addresses.map(address =>
    Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...address.split('.').map(Number)]),
  )
  return Buffer.concat([header, query.subarray(12, end), ...records])
}

function nameLength(query: Buffer): number {
  let at = 12
  while (query[at] !== 0) at += 1 + query[at]!
  return at + 1 - 12
}

/** What a test looks at in an answer: the code, the counts, the addresses of A and AAAA records. */
export function readAnswer(bytes: Buffer) {
  const end = 12 + nameLength(bytes) + 4
  const records: { type: number; ttl: number; data: Buffer }[] = []
  let at = end
  const count = bytes.readUInt16BE(6) + bytes.readUInt16BE(8) + bytes.readUInt16BE(10)
  for (let i = 0; i < count; i++) {
    while (bytes[at] !== 0 && bytes[at]! < 0xc0) at += 1 + bytes[at]!
    at += bytes[at] === 0 ? 1 : 2
    const length = bytes.readUInt16BE(at + 8)
    records.push({
      type: bytes.readUInt16BE(at),
      ttl: bytes.readUInt32BE(at + 4),
      data: bytes.subarray(at + 10, at + 10 + length),
    })
    at += 10 + length
  }
  return {
    id: bytes.readUInt16BE(0),
    flags: bytes.readUInt16BE(2),
    code: bytes[3]! & 15,
    isTruncated: (bytes[2]! & 2) !== 0,
    question: bytes.subarray(12, end),
    isWhole: at === bytes.length,
    answers: records.slice(0, bytes.readUInt16BE(6)),
    authority: records.slice(bytes.readUInt16BE(6), bytes.readUInt16BE(6) + bytes.readUInt16BE(8)),
    opt: records.find(({ type }) => type === 41) ?? null,
    addresses: records.filter(({ type }) => type === 1).map(({ data }) => data.join('.')),
  }
}
