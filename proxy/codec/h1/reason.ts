import { STATUS_CODES } from 'node:http'

/** The reason phrase of a status code we write ourselves (RFC 9112 section 4). */
export function reasonOf(status: number): string {
  return STATUS_CODES[status] ?? 'Unknown'
}
