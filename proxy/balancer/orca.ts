import type { Headers } from '../core/message.ts'

/**
 * What an endpoint reports of itself (ORCA, xds.data.orca.v3.OrcaLoadReport), as far as it is used here. 0: not
 * reported.
 */
export interface OrcaReport {
  /** Requests a second it serves, and errors a second among them. */
  qps: number
  eps: number
  /** 1 is full use; more is overload. */
  cpuUtilization: number
  memUtilization: number
  applicationUtilization: number
}

type Field = keyof OrcaReport

/** A longer value is not read. */
const LONGEST = 4096
/** No real value of these fields is greater. */
const GREATEST = 1e12

/** Both spellings of JSON for protocol buffers. `named_metrics`, `request_cost` and unknown names are ignored. */
const fields: Readonly<Record<string, Field>> = {
  rps_fractional: 'qps',
  rpsFractional: 'qps',
  qps: 'qps',
  eps: 'eps',
  cpu_utilization: 'cpuUtilization',
  cpuUtilization: 'cpuUtilization',
  mem_utilization: 'memUtilization',
  memUtilization: 'memUtilization',
  application_utilization: 'applicationUtilization',
  applicationUtilization: 'applicationUtilization',
}

/** Field numbers in the message; 3 is the old integer `rps`, read where the new field is absent. */
const RPS = 3
const numbered: Readonly<Record<number, Field>> = {
  1: 'cpuUtilization',
  2: 'memUtilization',
  6: 'qps',
  7: 'eps',
  9: 'applicationUtilization',
}

/** The load report in a response head; null: there is none, or it is malformed. */
export function readReport(headers: Headers): OrcaReport | null {
  const text = headers.get('endpoint-load-metrics')
  if (text !== undefined) return parseReport(text)
  const binary = headers.get('endpoint-load-metrics-bin')
  return binary === undefined ? null : parseBinary(binary.trim())
}

/** `TEXT k=v, k=v`, `JSON {...}` or `BIN base64`; the first two also without their name. */
export function parseReport(value: string): OrcaReport | null {
  if (value.length > LONGEST) return null
  const text = value.trim()
  const [named, format] = /^(TEXT|JSON|BIN)(?:\s|$)/.exec(text) ?? ['', text.startsWith('{') ? 'JSON' : 'TEXT']
  const body = text.slice(named.length).trim()
  return format === 'BIN' ? parseBinary(body) : format === 'JSON' ? parseJson(body) : parseText(body)
}

function noReport(): OrcaReport {
  return { qps: 0, eps: 0, cpuUtilization: 0, memUtilization: 0, applicationUtilization: 0 }
}

function parseText(text: string): OrcaReport | null {
  const report = noReport()
  for (const pair of text.split(',')) {
    const [, name, value] = /^\s*([\w.-]+)\s*[=:]\s*(\S+)\s*$/.exec(pair) ?? []
    if (name === undefined) return null
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined
    // Number takes "" and "0x1f" too; a report has decimal numbers.
    if (field !== undefined && !put(report, field, /^[\d.eE+-]+$/.test(value!) ? Number(value) : Number.NaN))
      return null
  }
  return report
}

function parseJson(text: string): OrcaReport | null {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return null
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return null
  const report = noReport()
  for (const [name, value] of Object.entries(parsed)) {
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined
    if (field !== undefined && (typeof value !== 'number' || !put(report, field, value))) return null
  }
  return report
}

function parseBinary(base64: string): OrcaReport | null {
  if (base64.length > LONGEST || !/^[A-Za-z0-9+/_-]+={0,2}$/.test(base64)) return null
  const bytes = Buffer.from(base64, 'base64')
  const report = noReport()
  let rps = 0
  let at = 0
  while (at < bytes.length) {
    const key = varint(bytes, at)
    if (key === null) return null
    at = key.end
    const number = Math.floor(key.value / 8)
    const type = key.value % 8
    if (type === 1) {
      if (at + 8 > bytes.length) return null
      const field = numbered[number]
      if (field !== undefined && !put(report, field, bytes.readDoubleLE(at))) return null
      at += 8
    } else if (type === 5) at += 4
    else if (type === 0 || type === 2) {
      const value = varint(bytes, at)
      if (value === null) return null
      if (type === 0 && number === RPS) rps = value.value
      at = type === 0 ? value.end : value.end + value.value
    } else return null
  }
  if (at > bytes.length) return null
  return report.qps > 0 || put(report, 'qps', rps) ? report : null
}

/** Up to seven bytes: no number, key or length of a report is greater than 2^49. */
function varint(bytes: Buffer, start: number): { readonly value: number; readonly end: number } | null {
  let value = 0
  for (let i = 0; i < 7 && start + i < bytes.length; i++) {
    const byte = bytes[start + i]!
    value += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) return { value, end: start + i + 1 }
  }
  return null
}

function put(report: OrcaReport, field: Field, value: number): boolean {
  if (!(value >= 0 && value <= GREATEST)) return false
  report[field] = value
  return true
}
